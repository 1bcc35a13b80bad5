package registry_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/drengskapur/fastmcp-runner/internal/hint"
	"github.com/drengskapur/fastmcp-runner/internal/image"
	"github.com/drengskapur/fastmcp-runner/internal/registry"
	"github.com/drengskapur/fastmcp-runner/internal/secret"
)

// layerBytes is the size of the layers that are pushed.
const layerBytes = 1 << 20

var amd64 = v1.Platform{OS: "linux", Architecture: "amd64", Variant: "v1"}

// newImage makes an image of random layers for linux/amd64.
func newImage(t *testing.T) v1.Image {
	t.Helper()
	img, err := random.Image(layerBytes, 2)
	if err != nil {
		t.Fatal(err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config.OS, config.Architecture = amd64.OS, amd64.Architecture
	config.Config.Entrypoint = []string{"/app/server"}
	if img, err = mutate.ConfigFile(img, config); err != nil {
		t.Fatal(err)
	}
	return img
}

// newIndex lists an attestation, an image for another platform, and img.
func newIndex(t *testing.T, img v1.Image) v1.ImageIndex {
	t.Helper()
	add := func(img v1.Image, p v1.Platform) mutate.IndexAddendum {
		return mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: &p}}
	}
	return mutate.AppendManifests(empty.Index,
		add(newImage(t), v1.Platform{OS: "unknown", Architecture: "unknown"}),
		add(newImage(t), v1.Platform{OS: "linux", Architecture: "s390x"}),
		add(img, v1.Platform{OS: "linux", Architecture: "amd64"}),
	)
}

// push writes an image or an index with another client.
func push(t *testing.T, ref string, what remote.Taggable, transport http.RoundTripper) {
	t.Helper()
	auth := remote.WithAuth(&authn.Basic{Username: user, Password: password})
	var err error
	switch what := what.(type) {
	case v1.Image:
		err = remote.Write(parse(t, ref), what, auth, remote.WithTransport(transport))
	case v1.ImageIndex:
		err = remote.WriteIndex(parse(t, ref), what, auth, remote.WithTransport(transport))
	default:
		t.Fatalf("push(%T)", what)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func parse(t *testing.T, ref string) name.Reference {
	t.Helper()
	r, err := name.ParseReference(ref)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func digestOf(t *testing.T, what interface{ Digest() (v1.Hash, error) }) v1.Hash {
	t.Helper()
	digest, err := what.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return digest
}

func newClient(t *testing.T, opts registry.Options) *registry.Client {
	t.Helper()
	c, err := registry.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func credentials(pass string) registry.Credentials {
	return registry.Credentials{Username: user, Password: secret.New(pass)}
}

// expectation is what becomes of a reference: an image, or an error.
type expectation struct {
	name, ref string
	opts      registry.Options
	image     v1.Image // nil: an error.
	err, hint string
}

func (e *expectation) check(t *testing.T) {
	t.Helper()
	img, err := newClient(t, e.opts).Resolve(t.Context(), parse(t, e.ref), amd64)
	if e.image == nil {
		checkError(t, err, e)
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if want := digestOf(t, e.image); img.ManifestDigest != want {
		t.Errorf("resolved to %s, want %s", img.ManifestDigest, want)
	}
	for _, layer := range img.Layers {
		if err := readToEnd(t, layer); err != nil {
			t.Error(err)
		}
	}
}

func checkError(t *testing.T, err error, want *expectation) {
	t.Helper()
	if err == nil || !strings.HasPrefix(err.Error(), "cannot resolve "+want.ref+": "+want.err) {
		t.Fatalf("error %v, want %q", err, want.err)
	}
	if !strings.Contains(hint.Of(err), want.hint) {
		t.Errorf("the hint of %v is not %q", err, want.hint)
	}
}

func readToEnd(t *testing.T, layer image.Layer) error {
	t.Helper()
	r, err := image.Open(t.Context(), layer)
	if err != nil {
		return err
	}
	defer r.Close()
	_, err = io.Copy(io.Discard, r) // Verified by its own end.
	return err
}

func TestPasswordsOverTLS(t *testing.T) {
	t.Parallel()
	address, ca := startWithPasswords(t)
	img := newImage(t)
	index := newIndex(t, img)
	push(t, address+"/acme/mcp:1.4", img, ca.transport(t))
	push(t, address+"/acme/mcp:index", index, ca.transport(t))
	good := registry.Options{Credentials: credentials(password), RootCAs: ca.pem()}
	docker := registry.Options{
		DockerConfigs: []registry.DockerConfig{{
			Source: "/config.json",
			JSON:   secret.New(`{"auths":{"` + address + `":{"username":"` + user + `","password":"` + password + `"}}}`),
		}},
		RootCAs: ca.pem(),
	}
	digest := digestOf(t, index).String()
	tests := []expectation{
		{name: "trap 43: Basic", ref: address + "/acme/mcp:1.4", opts: good, image: img},
		{name: "trap 50: Basic by a Docker config", ref: address + "/acme/mcp:1.4", opts: docker, image: img},
		{name: "trap 42: an index with an attestation", ref: address + "/acme/mcp:index", opts: good, image: img},
		{name: "trap 41: by digest", ref: address + "/acme/mcp@" + digest, opts: good, image: img},
		{name: "trap 41: by tag and digest, of which the digest counts", ref: address + "/acme/mcp:1.4@" + digest, opts: good, image: img},
		{
			name: "trap 44: a missing tag", ref: address + "/acme/mcp:missing", opts: good,
			err: "no such tag (the registry says MANIFEST_UNKNOWN)",
		},
		{
			name: "trap 44: a missing digest", ref: address + "/acme/mcp@sha256:" + strings.Repeat("0", 64), opts: good,
			err: "no such digest (the registry says MANIFEST_UNKNOWN)",
		},
		{
			name: "trap 44: a missing image", ref: address + "/acme/missing:1.4", opts: good,
			err: "no such tag (the registry says MANIFEST_UNKNOWN)", // Distribution tells no NAME_UNKNOWN here.
		},
		{
			name: "trap 44: a wrong password", ref: address + "/acme/mcp:1.4",
			opts: registry.Options{Credentials: credentials("wrong"), RootCAs: ca.pem()},
			err:  "access denied (the registry says UNAUTHORIZED", hint: "check the user name and the password",
		},
		{
			name: "trap 44: no password", ref: address + "/acme/mcp:1.4", opts: registry.Options{RootCAs: ca.pem()},
			err: "access denied (the registry says UNAUTHORIZED", hint: "private images need REGISTRY_USER and REGISTRY_PASSWORD",
		},
		{
			name: "trap 49: a CA that is not known", ref: address + "/acme/mcp:1.4", opts: registry.Options{Credentials: credentials(password)},
			err: address + ": tls: failed to verify certificate: x509: certificate signed by unknown authority", hint: "RUNNER_CA_FILE",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.check(t)
		})
	}
}

func TestTokens(t *testing.T) {
	t.Parallel()
	address := startWithTokens(t)
	img := newImage(t)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	push(t, address+"/acme/mcp:1.4", newIndex(t, img), transport)
	push(t, address+"/public/mcp:1.4", img, transport)
	good := registry.Options{Credentials: credentials(password)}
	bad := registry.Options{Credentials: credentials("wrong")}
	tests := []expectation{
		{name: "trap 43: Bearer", ref: address + "/acme/mcp:1.4", opts: good, image: img},
		{name: "trap 43: Bearer, anonymous", ref: address + "/public/mcp:1.4", image: img},
		{name: "trap 44: a wrong password does not bar a public image", ref: address + "/public/mcp:1.4", opts: bad, image: img},
		{
			name: "trap 44: but a private one", ref: address + "/acme/mcp:1.4", opts: bad,
			err: "access denied (the token server localhost:", hint: "check the user name and the password",
		},
		{
			name: "trap 44: a private image, anonymous", ref: address + "/acme/mcp:1.4",
			err: "access denied (the registry says UNAUTHORIZED", hint: "private images need REGISTRY_USER and REGISTRY_PASSWORD",
		},
		{
			name: "trap 44: a missing tag", ref: address + "/acme/mcp:missing", opts: good,
			err: "no such tag (the registry says MANIFEST_UNKNOWN)",
		},
		{name: "trap 44: a missing image", ref: address + "/acme/missing", opts: good, err: "no such tag (the registry says MANIFEST_UNKNOWN)"},
		{name: "trap 46: connections that break again and again", ref: address + "/acme/mcp:1.4", opts: registry.Options{Credentials: credentials(password), Dial: dialBreaking(layerBytes / 3)}, image: img},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.check(t)
		})
	}
}

// dialBreaking dials connections that break after a number of bytes.
func dialBreaking(after int64) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		var d net.Dialer
		inner, err := d.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		c := &breakingConn{Conn: inner}
		c.left.Store(after)
		return c, nil
	}
}

// breakingConn is a connection that is reset after some bytes.
type breakingConn struct {
	net.Conn
	left atomic.Int64
}

// Read reads until the connection breaks.
func (c *breakingConn) Read(p []byte) (int, error) {
	left := c.left.Load()
	if left <= 0 {
		return 0, net.ErrClosed
	}
	n, err := c.Conn.Read(p[:min(int64(len(p)), left)])
	c.left.Add(-int64(n))
	return n, err
}
