package inflate_test

import (
	"archive/tar"
	"bytes"
	stdgzip "compress/gzip"
	"errors"
	"go/build"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/klauspost/compress/gzip"

	"github.com/drengskapur/fastmcp-runner/internal/inflate"
)

// BenchmarkGzip decompresses archives like those of image layers, with this
// package and with the decoders that it has to beat. To compare them:
//
//	go test -run='^$' -bench=Gzip -count=10 ./internal/inflate | benchstat -col /decoder -
func BenchmarkGzip(b *testing.B) {
	corpora := []struct {
		name  string
		roots []string
	}{
		{"source", []string{goRoot("src")}},
		{"binaries", []string{goRoot("bin"), goRoot("pkg", "tool")}},
		{"packages", []string{"/usr/lib/python3", "/usr/lib/python3.11"}},
	}
	decoders := []struct {
		name string
		run  func(io.Reader) error
	}{
		{"inflate", drainInflate},
		{"klauspost", drainKlauspost},
		{"std", drainStandard},
	}
	for _, corpus := range corpora {
		compressed := sync.OnceValues(func() ([]byte, int64) { return archive(b, 96<<20, corpus.roots...) })
		for _, decoder := range decoders {
			b.Run("corpus="+corpus.name+"/decoder="+decoder.name, func(b *testing.B) {
				data, size := compressed()
				if size == 0 {
					b.Skipf("no files in %q", corpus.roots)
				}
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

func drainInflate(r io.Reader) error {
	z := inflate.NewReader(r)
	block := new(inflate.Block)
	for {
		if err := z.Fill(block); err != nil {
			return err
		}
	}
}

func drainKlauspost(r io.Reader) error {
	z, err := gzip.NewReader(r)
	if err != nil {
		return err
	}
	return drain(z)
}

func drainStandard(r io.Reader) error {
	z, err := stdgzip.NewReader(r)
	if err != nil {
		return err
	}
	return drain(z)
}

func drain(r io.Reader) error {
	buf := make([]byte, 256<<10)
	for {
		if _, err := r.Read(buf); err != nil {
			return err
		}
	}
}

func goRoot(elem ...string) string {
	return filepath.Join(append([]string{build.Default.GOROOT}, elem...)...)
}

// archive returns a tar of the regular files below the directories that exist,
// compressed by gzip at level 6, and its size before that. It stops after the
// file that exceeds the limit.
func archive(tb testing.TB, limit int64, roots ...string) (compressed []byte, size int64) {
	tb.Helper()
	var buf bytes.Buffer
	zw := stdgzip.NewWriter(&buf)
	counter := &countingWriter{w: zw}
	tw := tar.NewWriter(counter)
	for _, root := range roots {
		err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
			switch {
			case err != nil || !d.Type().IsRegular():
				return err
			case counter.n >= limit:
				return fs.SkipAll
			}
			return addFile(tw, name)
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			tb.Fatal(err)
		}
	}
	if counter.n == 0 {
		return nil, 0
	}
	if err := errors.Join(tw.Close(), zw.Close()); err != nil {
		tb.Fatal(err)
	}
	return buf.Bytes(), counter.n
}

// addFile adds a regular file to an archive.
func addFile(tw *tar.Writer, name string) error {
	data, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	hdr := &tar.Header{Name: name, Mode: 0o644, Size: int64(len(data))}
	if err := tw.WriteHeader(hdr); err != nil {
		return err
	}
	_, err = tw.Write(data)
	return err
}

// countingWriter counts the bytes that it passes on.
type countingWriter struct {
	w io.Writer
	n int64
}

func (c *countingWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

// BenchmarkShortBlocks decompresses what costs the most for its size: blocks
// that hold nothing but their codes.
func BenchmarkShortBlocks(b *testing.B) {
	fixed := &bitWriter{}
	dynamic := &streamWriter{rng: rand.New(rand.NewPCG(13, 14))}
	literals, distances := make([]int, 286), []int{0}
	literals[0], literals[256] = 1, 1
	for range 10_000 {
		fixed.bits(0, 1)
		fixed.bits(1, 2)
		fixed.bits(0, 7)
		dynamic.bits(0, 1)
		dynamic.bits(2, 2)
		dynamic.dynamicHeader(literals, distances)
		newHuffman(literals).write(&dynamic.bitWriter, 256)
	}
	p := newPair()
	for name, stream := range map[string][]byte{"fixed": fixed.data, "dynamic": dynamic.data} {
		for decoder, run := range map[string]func([]byte) error{
			"inflate": func(stream []byte) error { _, _, err := p.raw.Inflate(bytes.NewReader(stream)); return err },
			"std":     func(stream []byte) error { _, _, err := p.stdInflate(stream); return err },
		} {
			b.Run("blocks="+name+"/decoder="+decoder, func(b *testing.B) {
				b.SetBytes(int64(len(stream)))
				for b.Loop() {
					if err := run(stream); !errors.Is(err, io.ErrUnexpectedEOF) {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
