package inflate

import (
	"encoding/binary"
	"io"
)

const (
	// inputSize is how much is read at once: room for the longest field of a
	// header, and no more, because what stays in the cache is read faster. A
	// power of two for the same reason as blockSize.
	inputSize = 64 << 10
	inputMask = inputSize - 1

	// maxEmptyReads is how often the source may return nothing at all in a row.
	maxEmptyReads = 100
)

// input is the compressed stream as a sequence of bits, least significant bit
// first (RFC 1951, section 3.1.1), and of bytes.
//
// Of the bits that follow, the first nbits lie in bitbuf, and then come the
// bytes buf[pos:end]. The bits of bitbuf above nbits are either zero or already
// those of buf[pos:]; or-ing these in again later changes nothing.
type input struct {
	source    io.Reader
	eof       bool  // the source is at its end
	sourceErr error // or has failed

	bitbuf uint64
	nbits  uint64
	pos    int
	end    int
	read   int64 // how many bytes the source gave

	buf inputBuffer
}

// inputBuffer has room for a word of 8 bytes at every masked index.
type inputBuffer [inputSize + 8]byte

// attach makes r, of which nothing has been read, the source.
func (in *input) attach(r io.Reader) {
	in.source, in.eof, in.sourceErr = r, false, nil
	in.bitbuf, in.nbits = 0, 0
	in.pos, in.end, in.read = 0, 0, 0
}

// offset counts the bytes consumed.
func (in *input) offset() int64 {
	return in.read - int64(in.end-in.pos) - int64(in.nbits>>3&7)
}

// buffer reads from the source until n bytes, at most 64 KiB, are buffered, or
// the source ends or fails; it reports whether the n bytes are there.
func (in *input) buffer(n int) bool {
	if in.end-in.pos >= n {
		return true
	}
	in.unread()
	in.end = copy(in.buf[:], in.buf[in.pos:in.end])
	in.pos = 0
	for in.end < n && !in.eof && in.sourceErr == nil {
		in.readSource()
	}
	return in.end >= n
}

// readSource reads once from the source, or a few times if that gives nothing.
func (in *input) readSource() {
	for range maxEmptyReads {
		n, err := in.source.Read(in.buf[in.end:inputSize])
		in.end += n
		in.read += int64(n)
		if err == io.EOF {
			in.eof = true
			return
		}
		in.sourceErr = err
		if n > 0 || err != nil {
			return
		}
	}
	in.sourceErr = io.ErrNoProgress
}

// unread moves the whole bytes among the buffered bits back, so that at most 7
// bits are left.
func (in *input) unread() {
	in.pos -= int(in.nbits >> 3 & 7)
	in.nbits &= 7
	in.bitbuf &= 1<<in.nbits - 1
}

// align skips to the next byte boundary.
func (in *input) align() {
	in.unread()
	in.bitbuf, in.nbits = 0, 0
}

// ended is the error for a stream that ends here as it should.
func (in *input) ended() error {
	if in.eof {
		return io.EOF
	}
	return in.sourceErr
}

// short is the error for a stream that should go on here.
func (in *input) short() error {
	if in.eof {
		return io.ErrUnexpectedEOF
	}
	return in.sourceErr
}

// refill makes at least 56 bits available, or all that are left.
func (in *input) refill() {
	if in.buffer(8) {
		in.bitbuf, in.nbits, in.pos = refill(&in.buf, in.bitbuf, in.nbits, in.pos)
		return
	}
	for in.nbits < 56 && in.pos < in.end {
		in.bitbuf |= uint64(in.buf[in.pos]) << in.nbits
		in.nbits += 8
		in.pos++
	}
}

// refill is the branch-free refill of the bit buffer (libdeflate's variant of
// what Fabian Giesen describes in "Reading bits in far too many ways", part 2):
// it loads a whole word, ors it in above the valid bits, and advances pos only by
// the bytes of which all bits found room. Afterwards 56 to 63 bits are valid.
//
// Only the low 6 bits of nbits matter: the callers may leave anything above.
func refill(buf *inputBuffer, bitbuf, nbits uint64, pos int) (uint64, uint64, int) {
	i := pos & inputMask
	bitbuf |= binary.LittleEndian.Uint64(buf[i:i+8]) << (nbits & 63)
	pos += 7 - int(nbits>>3&7)
	return bitbuf, nbits | 56, pos
}

// take consumes n bits, at most 32.
func (in *input) take(n uint64) (uint64, error) {
	if in.nbits < n {
		in.refill()
		if in.nbits < n {
			return 0, in.short()
		}
	}
	v := in.bitbuf & (1<<n - 1)
	in.bitbuf >>= n
	in.nbits -= n
	return v, nil
}

// takeBytes consumes n whole bytes, at most 64 KiB, at a byte boundary. The
// slice is valid until the next call of any method.
func (in *input) takeBytes(n int) ([]byte, error) {
	in.unread()
	if !in.buffer(n) {
		return nil, in.short()
	}
	in.pos += n
	return in.buf[in.pos-n : in.pos], nil
}
