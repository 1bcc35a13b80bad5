package browser_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// tap is a registry that lets out as many bytes of layers as a test says.
type tap struct {
	*httptest.Server

	config string // the digest of the image's config, which is not held back

	mu   sync.Mutex
	more sync.Cond
	left int
}

func newTap(t *testing.T) *tap {
	t.Helper()
	p := &tap{}
	p.more.L = &p.mu
	shelf := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/blobs/") && !strings.HasSuffix(r.URL.Path, p.config) {
			w = slowWriter{w, p}
		}
		shelf.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		p.open(1 << 40) // nobody waits for ever
		p.Close()
	})
	return p
}

// open lets so many more bytes out.
func (p *tap) open(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.left += n
	p.more.Broadcast()
}

// take waits until some bytes may go, up to n, and returns how many.
func (p *tap) take(n int) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.left == 0 {
		p.more.Wait()
	}
	n = min(n, p.left)
	p.left -= n
	return n
}

type slowWriter struct {
	http.ResponseWriter

	tap *tap
}

func (w slowWriter) Write(data []byte) (written int, err error) {
	for len(data) > 0 && err == nil {
		n := w.tap.take(min(len(data), 32<<10))
		n, err = w.ResponseWriter.Write(data[:n])
		data, written = data[n:], written+n
		if err == nil {
			err = http.NewResponseController(w.ResponseWriter).Flush()
		}
	}
	return written, err
}

const (
	// ballast is the size of the image's largest layer, in bytes.
	ballast = 32_000_000
	// trickle is how much of it is let out at once.
	trickle = 100_000
)

// stock puts an image of the greeter into the registry and returns its
// reference.
func (p *tap) stock(t *testing.T) string {
	t.Helper()
	server, err := os.ReadFile(greeter.Path(t))
	if err != nil {
		t.Fatal(err)
	}
	noise := make([]byte, ballast)
	if _, err := rand.Read(noise); err != nil {
		t.Fatal(err)
	}
	img, err := mutate.AppendLayers(empty.Image, layer(t, "app/ballast", noise), layer(t, "app/server", server))
	if err != nil {
		t.Fatal(err)
	}
	file, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	file = file.DeepCopy()
	file.OS, file.Architecture, file.Config = "linux", runtime.GOARCH, v1.Config{Entrypoint: []string{"/app/server"}}
	if img, err = mutate.ConfigFile(img, file); err != nil {
		t.Fatal(err)
	}
	config, err := img.ConfigName()
	if err != nil {
		t.Fatal(err)
	}
	p.config = config.String()
	image := strings.TrimPrefix(p.URL, "http://") + "/acme/weather:1"
	ref, err := name.ParseReference(image)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, img, remote.WithContext(t.Context())); err != nil {
		t.Fatal(err)
	}
	return image
}

func layer(t *testing.T, path string, body []byte) v1.Layer {
	t.Helper()
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	if err := w.WriteHeader(&tar.Header{Name: path, Typeflag: tar.TypeReg, Mode: 0o755, Size: int64(len(body))}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(body); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	made, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(archive.Bytes())), nil }, tarball.WithCompressionLevel(gzip.NoCompression), tarball.WithCompressedCaching)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// root returns an empty directory that every user can enter and that plays the
// container's root.
func root(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(name, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// openUntilMoved lets out bytes until the bar has moved, and returns where it
// is. The runner reads in several places at once, and the bar shows only what
// comes in order.
func (p *tap) openUntilMoved(tb *tab, last int64) int64 {
	tb.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for began := time.Now(); time.Since(began) < patience; <-tick.C {
		p.open(trickle)
		if now := evaluate[int64](tb, "document.querySelector('progress').value"); now > last {
			return now
		}
	}
	tb.Fatal("the bar has not moved")
	return 0
}

// TestThePageDuringASlowPullAndAfterIt watches a whole start with an image,
// in both colour schemes, at a desk and on a phone.
func TestThePageDuringASlowPullAndAfterIt(t *testing.T) {
	t.Parallel()
	p := newTap(t)
	image := p.stock(t)
	url := launch(t, []string{"IMAGE=" + image, "MCP_TRANSPORT=stdio", "RUNNER_ROOT=" + root(t)}, nil)
	tb := open(t, url, desk)
	tb.await("the pull", "document.querySelector('#step').innerText === 'Pulling the image'")
	tb.holds("weather is starting", image)
	last := int64(0)
	for _, l := range looks() {
		last = p.openUntilMoved(tb, last)
		tb.look(l)
		tb.shoot("pull-" + l.String())
		tb.checkLook(l)
	}
	p.open(1 << 40)
	tb.await("the server", "document.querySelector('h1').innerText === 'greeter'")
	base := strings.TrimSuffix(url, "/")
	tb.holds("Serving", "Greets somebody by name.", "whom to greet", "runtime_facts", base+"/mcp", base+"/sse")
	for _, l := range looks() {
		tb.look(l)
		tb.shoot("served-" + l.String())
		tb.checkLook(l)
	}
}
