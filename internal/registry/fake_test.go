package registry_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/drengskapur/fastmcp-runner/internal/hint"
	"github.com/drengskapur/fastmcp-runner/internal/image"
	"github.com/drengskapur/fastmcp-runner/internal/registry"
)

// amd64 is asked for in tests, whatever machine they run on.
var amd64 = v1.Platform{OS: "linux", Architecture: "amd64", Variant: "v1"}

// fake is a registry that does as it is told: hook sees every request first and
// may answer it.
type fake struct {
	mu        sync.Mutex
	manifests map[string]manifest // By tag and by digest.
	blobs     map[string][]byte
	hook      func(w http.ResponseWriter, r *http.Request) bool
	requests  []*http.Request
}

type manifest struct {
	mediaType types.MediaType
	body      []byte
}

func newFake() *fake {
	return &fake{manifests: map[string]manifest{}, blobs: map[string][]byte{}}
}

// ServeHTTP answers as the distribution spec says, with ranges.
func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.requests = append(f.requests, r)
	f.mu.Unlock()
	if f.hook != nil && f.hook(w, r) {
		return
	}
	kind, id, ok := cutPath(r.URL.Path)
	switch {
	case !ok:
		w.WriteHeader(http.StatusOK)
	case kind == "manifests":
		m, found := f.manifests[id]
		if !found {
			refuse(w, http.StatusNotFound, "MANIFEST_UNKNOWN", "manifest unknown")
			return
		}
		w.Header().Set("Content-Type", string(m.mediaType))
		_, _ = w.Write(m.body)
	default:
		f.serveBlob(w, r, id)
	}
}

func (f *fake) serveBlob(w http.ResponseWriter, r *http.Request, id string) {
	blob, found := f.blobs[id]
	if !found {
		refuse(w, http.StatusNotFound, "BLOB_UNKNOWN", "blob unknown")
		return
	}
	_, _ = w.Write(answerRange(w, r, blob))
}

// answerRange writes the header of an answer, and returns what is asked for of
// the blob.
func answerRange(w http.ResponseWriter, r *http.Request, blob []byte) []byte {
	offset, ranged := rangeOf(r)
	end := len(blob)
	if _, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &offset, &end); err == nil {
		end++
	}
	w.Header().Set("Content-Length", strconv.Itoa(end-offset))
	if ranged {
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", offset, end-1, len(blob)))
		w.WriteHeader(http.StatusPartialContent)
	}
	return blob[offset:end]
}

func rangeOf(r *http.Request) (offset int, ok bool) {
	_, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &offset)
	return offset, err == nil
}

// cutPath splits /v2/REPO/KIND/ID.
func cutPath(path string) (kind, id string, ok bool) {
	parts := strings.Split(path, "/")
	if len(parts) < 5 {
		return "", "", false
	}
	return parts[len(parts)-2], parts[len(parts)-1], true
}

func isBlob(r *http.Request) bool {
	return strings.Contains(r.URL.Path, "/blobs/")
}

func refuse(w http.ResponseWriter, status int, code, message string) {
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `{"errors":[{"code":%q,"message":%q}]}`, code, message)
}

// seen counts the requests whose path has a part.
func (f *fake) seen(part string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, r := range f.requests {
		if strings.Contains(r.URL.Path, part) {
			n++
		}
	}
	return n
}

// draft is a manifest with a config and layers, before it is kept somewhere.
type draft struct {
	manifest v1.Manifest
	blobs    map[v1.Hash][]byte
}

// newImage makes an image for a platform out of layer contents.
func newImage(t *testing.T, platform v1.Platform, contents ...string) *draft {
	t.Helper()
	config := &v1.ConfigFile{
		OS: platform.OS, Architecture: platform.Architecture, Variant: platform.Variant,
		Config: v1.Config{Cmd: []string{"/app/server"}},
		RootFS: v1.RootFS{Type: "layers"},
	}
	img := &draft{blobs: map[v1.Hash][]byte{}}
	for _, content := range contents {
		img.manifest.Layers = append(img.manifest.Layers, img.add(t, types.OCILayer, []byte(content)))
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("0", 64)})
	}
	img.setConfig(t, config)
	img.manifest.SchemaVersion = 2
	img.manifest.MediaType = types.OCIManifestSchema1
	return img
}

func (img *draft) setConfig(t *testing.T, config *v1.ConfigFile) {
	t.Helper()
	img.manifest.Config = img.add(t, types.OCIConfigJSON, mustJSON(t, config))
}

func (img *draft) add(t *testing.T, mediaType types.MediaType, content []byte) v1.Descriptor {
	t.Helper()
	digest := digestOf(t, content)
	img.blobs[digest] = content
	return v1.Descriptor{MediaType: mediaType, Digest: digest, Size: int64(len(content))}
}

// keep stores an image under a tag and its digest and returns its descriptor.
func (f *fake) keep(t *testing.T, tag string, img *draft) v1.Descriptor {
	t.Helper()
	for digest, blob := range img.blobs {
		f.blobs[digest.String()] = blob
	}
	return f.keepManifest(t, tag, img.manifest.MediaType, mustJSON(t, img.manifest))
}

func (f *fake) keepManifest(t *testing.T, tag string, mediaType types.MediaType, body []byte) v1.Descriptor {
	t.Helper()
	digest := digestOf(t, body)
	f.manifests[tag] = manifest{mediaType, body}
	f.manifests[digest.String()] = manifest{mediaType, body}
	return v1.Descriptor{MediaType: mediaType, Digest: digest, Size: int64(len(body))}
}

// keepIndex stores an index.
func (f *fake) keepIndex(t *testing.T, tag string, descriptors ...v1.Descriptor) v1.Descriptor {
	t.Helper()
	return f.keepManifest(t, tag, types.OCIImageIndex, mustJSON(t, v1.IndexManifest{
		SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: descriptors,
	}))
}

func mustJSON[T any](t *testing.T, v T) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func digestOf(t *testing.T, content []byte) v1.Hash {
	t.Helper()
	digest, _, err := v1.SHA256(bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	return digest
}

// newClient returns a client on a network that trusts the test CA.
func newClient(t *testing.T, n *network, opts registry.Options) *registry.Client {
	t.Helper()
	if opts.Dial == nil {
		opts.Dial = n.dial
	}
	if opts.RootCAs == nil {
		opts.RootCAs = testCA().pem()
	}
	c, err := registry.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func parse(t *testing.T, ref string) name.Reference {
	t.Helper()
	r, err := name.ParseReference(ref)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// mustResolve resolves for amd64.
func mustResolve(t *testing.T, c *registry.Client, ref string) *image.Image {
	t.Helper()
	img, err := c.Resolve(t.Context(), parse(t, ref), amd64)
	if err != nil {
		t.Fatalf("Resolve(%s) = %v", ref, err)
	}
	return img
}

// readLayer reads a layer to its end.
func readLayer(t *testing.T, l image.Layer) (string, error) {
	t.Helper()
	r, err := image.Open(t.Context(), l)
	if err != nil {
		return "", err
	}
	content, err := io.ReadAll(r)
	return string(content), errors.Join(err, r.Close())
}

// wantError checks the text of an error, and of its hint if wantHint is not "".
func wantError(t *testing.T, err error, text, wantHint string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want %q", text)
	}
	if !strings.Contains(err.Error(), text) {
		t.Errorf("error %q, want %q in it", err, text)
	}
	if got := hint.Of(err); wantHint != "" && !strings.Contains(got, wantHint) {
		t.Errorf("error %q has not the hint %q, but %q", err, wantHint, got)
	}
}
