package inflate_test

import (
	"archive/tar"
	"bytes"
	stdgzip "compress/gzip"
	"errors"
	"go/build"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/klauspost/compress/gzip"

	"github.com/drengskapur/fastmcp-runner/internal/inflate"
)

// maxBenchmarkBytes bounds the archives: enough for a stable figure.
const maxBenchmarkBytes = 96 << 20

func goRoot(elem ...string) string {
	return filepath.Join(append([]string{build.Default.GOROOT}, elem...)...)
}

// archive makes a gzip -6 of a tar of the regular files below the directories, as far as
// the first limit bytes of them go.
func archive(tb testing.TB, limit int64, roots ...string) (compressed []byte, size int64) {
	tb.Helper()
	var buf bytes.Buffer
	zw := stdgzip.NewWriter(&buf)
	tw := tar.NewWriter(zw)
	for _, root := range roots {
		err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			if size >= limit {
				return fs.SkipAll
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			data, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			hdr, err := tar.FileInfoHeader(info, "")
			if err != nil {
				return err
			}
			hdr.Name, hdr.Size = name, int64(len(data))
			if err := tw.WriteHeader(hdr); err != nil {
				return err
			}
			size += hdr.Size
			_, err = tw.Write(data)
			return err
		})
		if err != nil {
			tb.Fatal(err)
		}
	}
	if err := tw.Close(); err != nil {
		tb.Fatal(err)
	}
	if err := zw.Close(); err != nil {
		tb.Fatal(err)
	}
	size, err := io.Copy(io.Discard, inflate.NewReader(bytes.NewReader(buf.Bytes())))
	if err != nil {
		tb.Fatal(err)
	}
	return buf.Bytes(), size
}

func BenchmarkGzip(b *testing.B) {
	corpora := []struct {
		name string
		data func() ([]byte, int64)
	}{
		{"source", sync.OnceValues(func() ([]byte, int64) { return archive(b, maxBenchmarkBytes, goRoot("src")) })},
		{"binaries", sync.OnceValues(func() ([]byte, int64) {
			return archive(b, maxBenchmarkBytes, goRoot("bin"), goRoot("pkg", "tool"))
		})},
		{"packages", sync.OnceValues(func() ([]byte, int64) {
			return archive(b, maxBenchmarkBytes, "/usr/lib/python3", "/usr/lib/python3.11")
		})},
	}
	decoders := []struct {
		name string
		run  func(io.Reader) error
	}{
		{"inflate", func(r io.Reader) error {
			z := inflate.NewReader(r)
			block := new(inflate.Block)
			for {
				if err := z.Fill(block); err != nil {
					return err
				}
			}
		}},
		{"klauspost", func(r io.Reader) error {
			z, err := gzip.NewReader(r)
			if err != nil {
				return err
			}
			return drain(z)
		}},
		{"std", func(r io.Reader) error {
			z, err := stdgzip.NewReader(r)
			if err != nil {
				return err
			}
			return drain(z)
		}},
	}
	for _, corpus := range corpora {
		for _, decoder := range decoders {
			b.Run("corpus="+corpus.name+"/decoder="+decoder.name, func(b *testing.B) {
				data, size := corpus.data()
				b.SetBytes(size)
				for b.Loop() {
					if err := decoder.run(bytes.NewReader(data)); !errors.Is(err, io.EOF) {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func drain(r io.Reader) error {
	buf := make([]byte, 256<<10)
	for {
		if _, err := r.Read(buf); err != nil {
			return err
		}
	}
}
