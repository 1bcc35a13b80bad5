// Package stdio_test runs "fastmcp-runner" on images of stdio servers as its
// users do, without a container: from a registry of its own, below a directory.
package stdio_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/drengskapur/fastmcp-runner/test/program"
)

func TestMain(m *testing.M) { os.Exit(program.RunTests(m)) }

// server is a program that is packed as /app/server of an image.
type server struct {
	program.Program
	pack func() (v1.Layer, error)
}

func packed(pkg string) server {
	compiled := program.Compile(pkg)
	return server{compiled, sync.OnceValues(func() (v1.Layer, error) {
		bin, err := compiled.Build()
		if err != nil {
			return nil, err
		}
		body, err := os.ReadFile(bin)
		if err != nil {
			return nil, err
		}
		return layer("app/server", body)
	})}
}

// Each is compiled and packed once for all tests.
var (
	runnerProgram = program.Compile("cmd/fastmcp-runner")
	greeter       = packed("examples/greeter")
	spy           = packed("test/e2e/spy")
)

// shop is a registry with one image, "acme/server:1".
type shop struct {
	*httptest.Server

	// gate is closed to let the last layer out.
	gate chan struct{}
}

// sell opens a registry with an image whose command is the program. The last layer is held back until the gate is open.
func sell(t *testing.T, server server, config v1.Config) *shop {
	t.Helper()
	first, err := server.pack()
	if err != nil {
		t.Fatal(err)
	}
	last, err := layer("app/last", []byte("last"))
	if err != nil {
		t.Fatal(err)
	}
	digest, err := last.Digest()
	if err != nil {
		t.Fatal(err)
	}
	s := &shop{gate: make(chan struct{})}
	shelf := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, digest.String()) {
			select {
			case <-s.gate:
			case <-r.Context().Done():
				return
			}
		}
		shelf.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	if config.Entrypoint == nil {
		config.Entrypoint = []string{"/app/server"}
	}
	img, err := mutate.AppendLayers(empty.Image, first, last)
	if err != nil {
		t.Fatal(err)
	}
	s.stock(t, img, config)
	return s
}

// stock puts the image into the registry.
func (s *shop) stock(t *testing.T, img v1.Image, config v1.Config) {
	t.Helper()
	file, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	file = file.DeepCopy()
	file.OS, file.Architecture, file.Config = "linux", runtime.GOARCH, config
	if img, err = mutate.ConfigFile(img, file); err != nil {
		t.Fatal(err)
	}
	ref, err := name.ParseReference(s.image())
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, img, remote.WithContext(t.Context())); err != nil {
		t.Fatal(err)
	}
}

// open lets the last layer out.
func (s *shop) open() *shop {
	close(s.gate)
	return s
}

func (s *shop) image() string { return strings.TrimPrefix(s.URL, "http://") + "/acme/server:1" }

func layer(path string, body []byte) (v1.Layer, error) {
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	if err := w.WriteHeader(&tar.Header{Name: path, Typeflag: tar.TypeReg, Mode: 0o755, Size: int64(len(body))}); err != nil {
		return nil, err
	}
	if _, err := w.Write(body); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(archive.Bytes())), nil }
	return tarball.LayerFromOpener(open, tarball.WithCompressionLevel(gzip.BestSpeed), tarball.WithCompressedCaching)
}
