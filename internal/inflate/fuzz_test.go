package inflate_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"

	"github.com/drengskapur/fastmcp-runner/internal/inflate"
)

// FuzzInflate holds the decoder of DEFLATE data against compress/flate, and the
// same data against itself when it comes in pieces.
func FuzzInflate(f *testing.F) {
	for i, stream := range smallStreams(f) {
		f.Add(stream, uint8(i))
	}
	p := newPair()
	f.Fuzz(func(t *testing.T, stream []byte, size uint8) {
		p.compare(t, stream)
		want, _, wantErr := p.raw.Inflate(bytes.NewReader(stream))
		got, _, err := p.raw.Inflate(&pieceReader{bytes.NewReader(stream), 1 + int(size)})
		if !bytes.Equal(got, want) || reason(err) != reason(wantErr) {
			t.Errorf("in pieces: %d bytes and error %v; at once: %d bytes and error %v", len(got), err, len(want), wantErr)
		}
	})
}

// reason is the text of an error without the offset, which depends a little on
// the pieces.
func reason(err error) string {
	if corrupt, ok := errors.AsType[*inflate.CorruptError](err); ok {
		return corrupt.Reason
	}
	return fmt.Sprint(err)
}

// pieceReader reads at most size bytes at once.
type pieceReader struct {
	r    io.Reader
	size int
}

func (p *pieceReader) Read(b []byte) (int, error) {
	return p.r.Read(b[:min(len(b), p.size)])
}

// FuzzGzip holds the whole decoder against compress/gzip.
func FuzzGzip(f *testing.F) {
	f.Add(slices.Concat(header(0), hello()))
	f.Add(slices.Concat(withCRC(header(flagHdrCRC|flagExtra|flagName|flagComment, "\x02\x00xxname\x00comment\x00")), hello(), header(0), hello()))
	f.Add(slices.Concat(header(0), hello(), make([]byte, 20)))
	f.Add(slices.Concat(header(0x80), hello()))
	p := newPair()
	f.Fuzz(func(t *testing.T, stream []byte) {
		p.compareGzip(t, stream)
	})
}

// compareGzip does for gzip streams what compare does for DEFLATE data. The
// differences to compress/gzip that TestMembers lists are allowed for: a stream
// that only differs by these is held against compress/gzip without the padding,
// or must be rejected.
func (p *pair) compareGzip(t *testing.T, stream []byte) {
	t.Helper()
	want, wantErr := stdRead(bytes.NewReader(stream))
	got, err := read(bytes.NewReader(stream))
	if n := min(len(got), len(want)); got[:n] != want[:n] {
		t.Fatalf("Reader and compress/gzip differ in the %d bytes before the errors %v, %v", n, err, wantErr)
	}
	switch {
	case err == nil && wantErr == nil:
		if got != want {
			t.Fatalf("Reader: %d bytes, compress/gzip: %d bytes", len(got), len(want))
		}
	case err == nil:
		unpadded := bytes.TrimRight(stream, "\x00")
		if !slices.ContainsFunc(paddings(stream, unpadded), func(s []byte) bool {
			text, err := stdRead(bytes.NewReader(s))
			return err == nil && text == got
		}) {
			t.Fatalf("Reader accepts what compress/gzip rejects with %v", wantErr)
		}
	default:
		checkError(t, err)
		if wantErr == nil && len(stream) > 0 && !isReservedFlag(err) {
			t.Fatalf("Reader rejects, with %v, what compress/gzip accepts", err)
		}
	}
}

// paddings returns the stream without its zeros, and with each number of them
// that a trailer may end with.
func paddings(stream, unpadded []byte) [][]byte {
	var all [][]byte
	for n := len(unpadded); n <= min(len(stream), len(unpadded)+8); n++ {
		all = append(all, stream[:n])
	}
	return all
}

func isReservedFlag(err error) bool {
	return reason(err) == "reserved header flag"
}
