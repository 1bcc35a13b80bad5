package layer_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/drengskapur/fastmcp-runner/internal/layer"
)

// installed returns an archive of 20 MB like an installed Python application:
// some two thousand files of text that compresses about fourfold, and a few
// libraries of machine code that hardly does.
func installed() []byte {
	random := rand.New(rand.NewPCG(1, 2))
	words := make([]string, 4000)
	for i := range words {
		words[i] = fmt.Sprintf("%x ", random.Uint32()>>random.IntN(24))
	}
	var b bytes.Buffer
	for i := 0; b.Len() < 20_000_000; i++ {
		name, size := fmt.Sprintf("app/lib/package%d/module%d.py", i/20, i), random.IntN(16_000)
		body := make([]byte, 0, 3_000_000)
		if i%500 == 499 {
			name, size = fmt.Sprintf("app/lib/library%d.so", i), 2_000_000
			for len(body) < size {
				body = append(body, byte(random.ExpFloat64()*40))
			}
		}
		for len(body) < size {
			body = append(body, words[int(random.ExpFloat64()*400)%len(words)]...)
		}
		b.Write(member{name: name, mode: 0o644, body: string(body)}.bytes())
	}
	b.Write(trailer())
	return b.Bytes()
}

func BenchmarkReader(b *testing.B) {
	plain := installed()
	for _, bb := range []struct {
		name string
		blob []byte
	}{
		{"tar", plain},
		{"gzip", gzipped(plain)},
		{"zstd", zstandard(plain)},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.SetBytes(int64(len(plain)))
			b.ReportMetric(float64(len(bb.blob)), "blob-bytes")
			buf := make([]byte, 64<<10)
			for b.Loop() {
				r := layer.NewReader(bytes.NewReader(bb.blob), layer.Limits{})
				for {
					_, err := r.Next()
					if isEnd(err) {
						break
					}
					if err != nil {
						b.Fatal(err)
					}
					if _, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, r, buf); err != nil {
						b.Fatal(err)
					}
				}
				if err := r.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
