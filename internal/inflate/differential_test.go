package inflate_test

import (
	"bytes"
	"compress/flate"
	stdgzip "compress/gzip"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"

	"github.com/drengskapur/fastmcp-runner/internal/inflate"
)

// pair is a decoder of ours and one of the standard library's.
type pair struct {
	raw *inflate.Raw
	std io.ReadCloser
}

func newPair() *pair {
	return &pair{raw: inflate.NewRaw(), std: flate.NewReader(nil)}
}

// stdInflate decodes bare DEFLATE data with compress/flate.
func (p *pair) stdInflate(compressed []byte) (data []byte, consumed int64, err error) {
	r := bytes.NewReader(compressed)
	if err := p.std.(flate.Resetter).Reset(r, nil); err != nil { //nolint:forcetypeassert // documented by flate.NewReader
		return nil, 0, err
	}
	data, err = io.ReadAll(p.std)
	return data, int64(len(compressed) - r.Len()), err
}

// compare holds the decoder against compress/flate: the same streams are
// accepted, with the same bytes and the same end; of the others, none gives
// bytes that the other contradicts.
func (p *pair) compare(t *testing.T, compressed []byte) {
	t.Helper()
	want, wantConsumed, wantErr := p.stdInflate(compressed)
	got, consumed, err := p.raw.Inflate(bytes.NewReader(compressed))
	if (err == nil) != (wantErr == nil) {
		t.Fatalf("Inflate: error %v, compress/flate: error %v", err, wantErr)
	}
	if err != nil {
		checkError(t, err)
		n := min(len(got), len(want))
		if !bytes.Equal(got[:n], want[:n]) {
			t.Fatalf("Inflate and compress/flate differ in the %d bytes before the errors %q, %q", n, err, wantErr)
		}
		return
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("Inflate: %d bytes, compress/flate: %d bytes; they differ at %d", len(got), len(want), firstDifference(got, want))
	}
	if consumed != wantConsumed {
		t.Fatalf("Inflate consumed %d bytes, compress/flate %d", consumed, wantConsumed)
	}
}

// checkError fails unless err is of a kind that the package promises.
func checkError(t *testing.T, err error) {
	t.Helper()
	var corrupt *inflate.CorruptError
	if !errors.Is(err, io.ErrUnexpectedEOF) && !errors.As(err, &corrupt) {
		t.Fatalf("error %v (%T), want io.ErrUnexpectedEOF or a *CorruptError", err, err)
	}
}

func firstDifference(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

// samples returns data of different natures.
func samples() map[string][]byte {
	rng := rand.New(rand.NewPCG(1, 2))
	random := make([]byte, 300_000)
	for i := range random {
		random[i] = byte(rng.Uint32())
	}
	text := bytes.NewBuffer(nil)
	for i := range 40_000 {
		fmt.Fprintf(text, "entry %d of %x\n", i*i%977, i%53)
	}
	skewed := make([]byte, 200_000)
	for i := range skewed {
		skewed[i] = byte(min(rng.ExpFloat64()*8, 255))
	}
	s := map[string][]byte{
		"nothing":                 {},
		"one byte":                {'x'},
		"a run of zeros":          make([]byte, 1_500_000),
		"random bytes":            random,
		"text":                    text.Bytes(),
		"a skewed distribution":   skewed,
		"a repetition at 32768":   bytes.Repeat(random[:32768], 40),
		"a repetition at 32767":   bytes.Repeat(random[:32767], 3),
		"a repetition at 32769":   bytes.Repeat(random[:32769], 3),
		"exactly one full block":  bytes.Repeat(random[:1000], inflate.BlockRoom/1000+2)[:inflate.BlockRoom],
		"one byte more than full": bytes.Repeat(random[:1000], inflate.BlockRoom/1000+2)[:inflate.BlockRoom+1],
		"one byte less than full": bytes.Repeat(random[:1000], inflate.BlockRoom/1000+2)[:inflate.BlockRoom-1],
	}
	for period := 1; period <= 40; period++ {
		s[fmt.Sprintf("a period of %d", period)] = bytes.Repeat(random[:period], 5000/period)
	}
	return s
}

func TestInflateEqualsTheStandardLibrary(t *testing.T) {
	t.Parallel()
	for name, data := range samples() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPair()
			for level := flate.HuffmanOnly; level <= flate.BestCompression; level++ {
				p.compare(t, deflate(t, data, level))
			}
		})
	}
}

func deflate(tb testing.TB, data []byte, level int) []byte {
	tb.Helper()
	var buf bytes.Buffer
	w, err := flate.NewWriter(&buf, level)
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		tb.Fatal(err)
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return buf.Bytes()
}

func TestInflateDecodesWhatNoCompressorWrites(t *testing.T) {
	t.Parallel()
	p := newPair()
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 0))
		size := []int{0, 300, 40_000}[seed%3]
		if seed%20 == 0 {
			size = 1_500_000 // several blocks
		}
		stream := randomStream(rng, size)
		if _, _, err := p.stdInflate(stream); err != nil {
			t.Fatalf("seed %d: the generator wrote a stream that compress/flate rejects: %v", seed, err)
		}
		p.compare(t, stream)
	}
}

func TestEveryLengthAndDistance(t *testing.T) {
	t.Parallel()
	p := newPair()
	lengthBase, lengthExtra := extraTable(3, 4, 29)
	lengthBase[28], lengthExtra[28] = 258, 0
	distanceBase, distanceExtra := extraTable(1, 2, 30)
	literals, distances := fixedLens()
	for d := range distanceBase {
		w := &streamWriter{rng: rand.New(rand.NewPCG(uint64(d), 3))}
		w.bits(0, 1)
		w.bits(0, 2)
		w.stored(32768)
		w.bits(1, 1)
		w.bits(1, 2)
		codes := []huffman{newHuffman(literals), newHuffman(distances)}
		for l := range lengthBase {
			for extra := range 1 << lengthExtra[l] {
				// The first, the last and one distance in the middle.
				for _, distance := range []int{0, 1<<distanceExtra[d] - 1, w.rng.IntN(1 << distanceExtra[d])} {
					codes[0].write(&w.bitWriter, 257+l)
					w.bits(extra, lengthExtra[l])
					codes[1].write(&w.bitWriter, d)
					w.bits(distance, distanceExtra[d])
				}
			}
		}
		codes[0].write(&w.bitWriter, 256)
		p.compare(t, w.data)
	}
}

func TestDistancesEndAtTheBeginning(t *testing.T) {
	t.Parallel()
	p := newPair()
	literals, distances := fixedLens()
	for before := range 40 {
		for symbol, distance := range []int{1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33} {
			w := &bitWriter{}
			w.bits(1, 1)
			w.bits(1, 2)
			for range before {
				newHuffman(literals).write(w, 'x')
			}
			newHuffman(literals).write(w, 257)
			newHuffman(distances).write(w, symbol)
			w.bits(0, max(0, symbol/2-1))
			newHuffman(literals).write(w, 256)
			// With and without bytes behind: by both loops.
			for _, stream := range [][]byte{w.data, append(w.data, make([]byte, 100)...)} {
				_, _, err := p.raw.Inflate(bytes.NewReader(stream))
				if rejected := err != nil; rejected != (distance > before) {
					t.Errorf("distance %d after %d bytes: error %v", distance, before, err)
				}
				p.compare(t, stream)
			}
		}
	}
}

// smallStreams are streams of all block types that are short enough to be
// damaged everywhere.
func smallStreams(tb testing.TB) [][]byte {
	tb.Helper()
	text := samples()["text"][:3000]
	streams := [][]byte{
		deflate(tb, text[:200], flate.NoCompression),
		deflate(tb, text[:60], flate.BestSpeed),
		deflate(tb, text, flate.BestCompression),
		deflate(tb, text[:300], flate.HuffmanOnly),
		deflate(tb, nil, flate.DefaultCompression),
	}
	for seed := range uint64(6) {
		streams = append(streams, randomStream(rand.New(rand.NewPCG(seed, 6)), 300))
	}
	return streams
}

func TestTruncatedStreamsAreUnexpectedEOF(t *testing.T) {
	t.Parallel()
	p := newPair()
	for _, stream := range smallStreams(t) {
		whole, _, err := p.raw.Inflate(bytes.NewReader(stream))
		if err != nil {
			t.Fatal(err)
		}
		for n := range stream {
			got, _, err := p.raw.Inflate(bytes.NewReader(stream[:n]))
			if !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Fatalf("%d of %d bytes: error %v, want %v", n, len(stream), err, io.ErrUnexpectedEOF)
			}
			if !bytes.HasPrefix(whole, got) {
				t.Fatalf("%d of %d bytes: delivered bytes that are not in the stream", n, len(stream))
			}
			p.compare(t, stream[:n])
		}
	}
}

func TestCorruptStreamsAreJudgedAsByTheStandardLibrary(t *testing.T) {
	t.Parallel()
	p := newPair()
	for _, stream := range smallStreams(t) {
		for i := range stream {
			for bit := range 8 {
				damaged := bytes.Clone(stream)
				damaged[i] ^= 1 << bit
				p.compare(t, damaged)
			}
		}
	}
}

func TestInputMayComeInAnyPieces(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(7, 8))
	streams := smallStreams(t)
	for range 20 {
		streams = append(streams, randomStream(rng, 30_000))
	}
	pieces := map[string]func(io.Reader) io.Reader{
		"one byte at a time":     iotest.OneByteReader,
		"half of what is asked":  iotest.HalfReader,
		"data together with EOF": iotest.DataErrReader,
		"sizes by chance":        func(r io.Reader) io.Reader { return &choppyReader{r, rand.New(rand.NewPCG(9, 10))} },
	}
	for name, chop := range pieces {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPair()
			for _, stream := range streams {
				want, _, err := p.stdInflate(stream)
				if err != nil {
					t.Fatal(err)
				}
				got, _, err := p.raw.Inflate(chop(bytes.NewReader(stream)))
				if err != nil || !bytes.Equal(got, want) {
					t.Fatalf("Inflate: %d bytes, error %v, want %d bytes", len(got), err, len(want))
				}
			}
		})
	}
}

// choppyReader reads pieces of random sizes, and sometimes nothing.
type choppyReader struct {
	r   io.Reader
	rng *rand.Rand
}

func (c *choppyReader) Read(p []byte) (int, error) {
	return c.r.Read(p[:min(len(p), c.rng.IntN(70))])
}

func TestGoSourceEqualsTheStandardLibrary(t *testing.T) {
	t.Parallel()
	compressed, size := archive(t, 8<<20, goRoot("src"))
	zr, err := stdgzip.NewReader(bytes.NewReader(compressed))
	if err != nil {
		t.Fatal(err)
	}
	want, err := io.ReadAll(zr)
	if err != nil {
		t.Fatal(err)
	}
	got, err := rest(inflate.NewReader(bytes.NewReader(compressed)))
	if err != nil || !bytes.Equal(got, want) || int64(len(got)) != size {
		t.Errorf("Reader: %d bytes, error %v; want %d bytes", len(got), err, len(want))
	}
}
