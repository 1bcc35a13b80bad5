package extract_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/drengskapur/fastmcp-runner/internal/extract"
	"github.com/drengskapur/fastmcp-runner/internal/rootfs"
)

// BenchmarkExtract lays down what a typical layer is like, thousands of small
// files: the Go tree's own sources, once as a whole and once with nine tenths of
// them excluded.
func BenchmarkExtract(b *testing.B) {
	layer, size := sources(b)
	for name, wanted := range map[string]func(string) bool{
		"all":       everything,
		"allowlist": func(p string) bool { return len(p) > 4 && p[4] == 'n' },
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(size)
			for b.Loop() {
				b.StopTimer()
				root, err := rootfs.Open(b.TempDir())
				if err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
				opts := options()
				opts.Wanted = wanted
				if _, err := extract.Extract(b.Context(), root, []extract.Layer{blob("sha256:0", layer)}, opts); err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				if err := root.Close(); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
		})
	}
}

// sources packs the Go tree's sources as a layer; size is that of the archive.
func sources(b *testing.B) (layer []byte, size int64) {
	b.Helper()
	var compressed bytes.Buffer
	z := gzip.NewWriter(&compressed)
	count := &counter{w: z}
	w := tar.NewWriter(count)
	goroot, err := exec.CommandContext(b.Context(), "go", "env", "GOROOT").Output()
	if err != nil {
		b.Fatal(err)
	}
	if err := w.AddFS(os.DirFS(filepath.Join(strings.TrimSpace(string(goroot)), "src"))); err != nil {
		b.Fatal(err)
	}
	for _, c := range []io.Closer{w, z} {
		if err := c.Close(); err != nil {
			b.Fatal(err)
		}
	}
	return compressed.Bytes(), count.n
}

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return c.w.Write(p)
}
