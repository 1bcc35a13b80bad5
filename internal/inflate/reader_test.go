package inflate_test

import (
	"bytes"
	stdgzip "compress/gzip"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/iotest"

	"github.com/drengskapur/fastmcp-runner/internal/inflate"
)

// gzipped returns about two megabytes of data that fills several blocks and
// refers back across their borders, and the gzip stream of it.
func gzipped(tb testing.TB) (data, compressed []byte) {
	tb.Helper()
	rng := rand.New(rand.NewPCG(11, 12))
	for len(data) < 2_000_000 {
		n := rng.IntN(3000)
		if from := len(data) - rng.IntN(32769); rng.IntN(4) > 0 && from >= 0 {
			data = append(data, data[from:min(from+n, len(data))]...)
			continue
		}
		for range n / 10 {
			data = append(data, byte(rng.Uint32()))
		}
	}
	var buf bytes.Buffer
	w := stdgzip.NewWriter(&buf)
	_, err := w.Write(data)
	if err := errors.Join(err, w.Close()); err != nil {
		tb.Fatal(err)
	}
	return data, buf.Bytes()
}

func TestABlockBelongsToTheCaller(t *testing.T) {
	t.Parallel()
	data, compressed := gzipped(t)
	z := inflate.NewReader(bytes.NewReader(compressed))
	blocks := []*inflate.Block{new(inflate.Block), new(inflate.Block), new(inflate.Block)}
	var got []byte
	for i := 0; ; i++ {
		b := blocks[i%len(blocks)]
		err := z.Fill(b)
		got = append(got, b.Bytes()...)
		if err != nil {
			if !errors.Is(err, io.EOF) || len(b.Bytes()) != 0 {
				t.Errorf("Fill: error %v and %d bytes, want %v and none", err, len(b.Bytes()), io.EOF)
			}
			break
		}
		if len(b.Bytes()) == 0 {
			t.Fatal("Fill returned neither bytes nor an error")
		}
		clear(b.Bytes())
	}
	if !bytes.Equal(got, data) {
		t.Errorf("%d bytes, want %d; they differ at %d", len(got), len(data), firstDifference(got, data))
	}
}

func TestBlocksAreFull(t *testing.T) {
	t.Parallel()
	_, compressed := gzipped(t)
	// Many short members and one long one: the ends of members do not end a
	// block.
	short := slices.Concat(header(0), hello())
	z := inflate.NewReader(bytes.NewReader(slices.Concat(bytes.Repeat(short, 100_000), compressed)))
	b := new(inflate.Block)
	for i := range 6 {
		if err := z.Fill(b); err != nil {
			t.Fatal(err)
		}
		if n := len(b.Bytes()); n < inflate.BlockRoom || n > inflate.BlockRoom+260 {
			t.Errorf("block %d has %d bytes, want about %d", i, n, inflate.BlockRoom)
		}
	}
}

func TestFillDoesNotAllocate(t *testing.T) {
	_, compressed := gzipped(t)
	z := inflate.NewReader(nil)
	b := new(inflate.Block)
	r := bytes.NewReader(nil)
	allocations := testing.AllocsPerRun(5, func() {
		r.Reset(compressed)
		z.Reset(r)
		for z.Fill(b) == nil {
		}
	})
	if allocations != 0 {
		t.Errorf("%v allocations in a stream, want none", allocations)
	}
}

func TestResetAfterAnything(t *testing.T) {
	t.Parallel()
	data, compressed := gzipped(t)
	z := inflate.NewReader(bytes.NewReader(compressed))
	for _, use := range []func() error{
		func() error { return nil },
		func() error { return z.Fill(new(inflate.Block)) },
		func() error { _, err := rest(z); return err },
		func() error {
			z.Reset(bytes.NewReader(compressed[:len(compressed)/2]))
			_, err := rest(z)
			if !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("half a stream: error %v, want %v", err, io.ErrUnexpectedEOF)
			}
			return nil
		},
	} {
		if err := use(); err != nil {
			t.Fatal(err)
		}
		z.Reset(bytes.NewReader(compressed))
		got, err := rest(z)
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("after Reset: %d bytes, error %v; want %d bytes", len(got), err, len(data))
		}
		z.Reset(bytes.NewReader(compressed))
	}
}

func TestErrorsOfTheSource(t *testing.T) {
	t.Parallel()
	data, compressed := gzipped(t)
	reset := errors.New("connection reset by peer")
	tests := []struct {
		name   string
		source io.Reader
		want   error
	}{
		{"at the beginning", iotest.ErrReader(reset), reset},
		{"in the middle", io.MultiReader(bytes.NewReader(compressed[:len(compressed)/2]), iotest.ErrReader(reset)), reset},
		{"in the trailer", io.MultiReader(bytes.NewReader(compressed[:len(compressed)-3]), iotest.ErrReader(reset)), reset},
		{"where the end should be", io.MultiReader(bytes.NewReader(compressed), iotest.ErrReader(reset)), reset},
		{"in the padding", io.MultiReader(bytes.NewReader(compressed), bytes.NewReader(make([]byte, 100)), iotest.ErrReader(reset)), reset},
		{"a source that gives nothing", silentReader{}, io.ErrNoProgress},
		{"the end at the beginning", bytes.NewReader(nil), io.ErrUnexpectedEOF},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := read(test.source)
			if !errors.Is(err, test.want) {
				t.Errorf("error %v, want %v", err, test.want)
			}
			if !bytes.HasPrefix(data, []byte(got)) {
				t.Error("read bytes that are not in the stream")
			}
		})
	}
}

// silentReader reads nothing, for ever.
type silentReader struct{}

func (silentReader) Read([]byte) (int, error) { return 0, nil }

func TestAnErrorStays(t *testing.T) {
	t.Parallel()
	z := inflate.NewReader(bytes.NewReader(nil))
	b := new(inflate.Block)
	for range 3 {
		if err := z.Fill(b); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("Fill: error %v, want %v", err, io.ErrUnexpectedEOF)
		}
	}
}
