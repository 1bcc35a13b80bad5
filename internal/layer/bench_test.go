package layer_test

import (
	"bytes"
	"fmt"
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

// headers returns an archive of n empty files, of which each has an extended
// header if there are records.
func headers(n int, records ...string) []byte {
	var b bytes.Buffer
	for i := range n {
		if len(records) > 0 {
			b.Write(pax(records...))
		}
		b.Write(member{name: fmt.Sprintf("app/lib/package%d/module%d.py", i/20, i), mode: 0o644, uid: 1000, mtime: "14371573455\x00"}.bytes())
	}
	b.Write(trailer())
	return b.Bytes()
}

// BenchmarkReader reads layers: every byte of their files, or only the entries.
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
		for name, read := range map[string]func(*layer.Reader) error{"content": drain, "skip": skip} {
			b.Run(bb.name+"/"+name, func(b *testing.B) {
				b.SetBytes(int64(len(plain)))
				benchmarkReader(b, bb.blob, read)
			})
		}
	}
}

// BenchmarkHeaders reads archives that are nothing but headers.
func BenchmarkHeaders(b *testing.B) {
	for _, bb := range []struct {
		name    string
		records []string
	}{
		{"ustar", nil},
		{"pax", []string{"mtime", "1700000000.123456789"}},
	} {
		b.Run(bb.name, func(b *testing.B) {
			const n = 20_000
			benchmarkReader(b, headers(n, bb.records...), skip)
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/entry")
		})
	}
}

func benchmarkReader(b *testing.B, blob []byte, read func(*layer.Reader) error) {
	b.Helper()
	b.ReportAllocs()
	for b.Loop() {
		r := layer.NewReader(bytes.NewReader(blob), layer.Limits{})
		for {
			_, err := r.Next()
			if err == nil {
				err = read(r)
			}
			if isEnd(err) {
				break
			}
			if err != nil {
				b.Fatal(err)
			}
		}
		if err := r.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

func skip(*layer.Reader) error { return nil }

// drain takes every byte into the hand once.
func drain(r *layer.Reader) error {
	for {
		chunk, err := r.Chunk()
		if isEnd(err) {
			return nil
		}
		if err != nil {
			return err
		}
		chunk.Release()
	}
}
