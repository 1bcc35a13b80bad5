package chaos_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/drengskapur/fastmcp-runner/test/daemon"
)

const repository = "acme/mcp"

// lab is what all pulls have in common: a registry that does everything right,
// with one image.
type lab struct {
	address     string
	want        tree
	objects     map[string]string // By digest.
	transport   *http.Transport
	certificate tls.Certificate
	ca          []byte
}

func newLab(t *testing.T) *lab {
	t.Helper()
	img, want := newImage(t)
	l := &lab{want: want, objects: map[string]string{}, transport: &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}}
	t.Cleanup(l.transport.CloseIdleConnections)
	l.address = startRegistry(t, img)
	l.certificate, l.ca = newCertificate(t)
	digest, err := img.ConfigName()
	if err != nil {
		t.Fatal(err)
	}
	l.objects[digest.String()] = "config"
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	for i, layer := range layers {
		digest, err := layer.Digest()
		if err != nil {
			t.Fatal(err)
		}
		l.objects[digest.String()] = fmt.Sprintf("layer %d", i+1)
	}
	return l
}

// objectAt names what a path asks for.
func (l *lab) objectAt(p string) string {
	if strings.Contains(p, "/manifests/") {
		return "manifest"
	}
	return l.objects[path.Base(p)]
}

// get asks the registry as the client asks the proxy.
func (l *lab) get(r *http.Request) (*http.Response, error) {
	req, err := http.NewRequestWithContext(r.Context(), http.MethodGet, "http://"+l.address+r.URL.Path, nil)
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"Accept", "Range"} {
		if value := r.Header.Get(name); value != "" {
			req.Header.Set(name, value)
		}
	}
	return l.transport.RoundTrip(req)
}

// startRegistry starts CNCF distribution, as Debian packages it in
// docker-registry, or where there is none the little that is needed of one.
func startRegistry(t *testing.T, img v1.Image) (address string) {
	t.Helper()
	if _, err := exec.LookPath(daemon.RegistryProgram); err != nil {
		return startOwnRegistry(t, img)
	}
	d, address, err := daemon.StartRegistry(t.Context(), t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Stop(); err != nil {
			t.Error(err)
		}
	})
	tag, err := name.NewTag(address + "/" + repository + ":latest")
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	if err := remote.Write(tag, img, remote.WithTransport(transport)); err != nil {
		t.Fatal(err)
	}
	return address
}

// startOwnRegistry serves the one image.
func startOwnRegistry(t *testing.T, img v1.Image) (address string) {
	t.Helper()
	content := contentOf(t, img)
	mediaType, err := img.MediaType()
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, ok := content[path.Base(r.URL.Path)]
		if !ok && r.URL.Path != "/v2/" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		if strings.Contains(r.URL.Path, "/manifests/") {
			w.Header().Set("Content-Type", string(mediaType))
		}
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(b))
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// contentOf returns everything of an image by its digest or tag.
func contentOf(t *testing.T, img v1.Image) map[string][]byte {
	t.Helper()
	content := map[string][]byte{}
	keep := func(id string, b []byte, err error) {
		if err != nil {
			t.Fatal(err)
		}
		content[id] = b
	}
	manifest, err := img.RawManifest()
	keep("latest", manifest, err)
	config, err := img.RawConfigFile()
	digest, digestErr := img.ConfigName()
	keep(digest.String(), config, errors.Join(err, digestErr))
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	for _, layer := range layers {
		digest, err := layer.Digest()
		if err != nil {
			t.Fatal(err)
		}
		r, err := layer.Compressed()
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		keep(digest.String(), b, errors.Join(err, r.Close()))
	}
	return content
}

// newCertificate makes a certificate for 127.0.0.1 that is its own CA.
func newCertificate(t *testing.T) (tls.Certificate, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "Test CA"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(time.Hour),
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, ca
}
