// Package inflate decompresses gzip (RFC 1952) and the DEFLATE data in it
// (RFC 1951), about two and a half times as fast as klauspost/compress, the
// fastest other decoder in Go: decompression is what pulling an image takes the
// longest for (BenchmarkGzip shows the figures). It knows nothing of archives,
// files or networks, and it does not compress.
//
// The speed comes from techniques that libdeflate (Eric Biggers) published:
// a 64-bit bit buffer that is refilled without a branch, one 32-bit word per
// table entry that holds all that the decoder needs of a symbol, the entry of
// the next symbol loaded before the current match is copied, and matches copied
// by words into one flat buffer. The code is written from the two RFCs; every
// trick is explained where it is used. There is no assembly and no unsafe code:
// buffers are arrays whose sizes are powers of two and whose indices are masked,
// so that the compiler proves every access to be in bounds.
//
// A pipeline calls [Reader.Fill] with [Block] values of its own and passes them on
// without copying a byte.
package inflate

import "io"

// Reader decompresses a gzip stream: one or more members, and after the last one
// nothing but zero bytes. The checksum and the length of every member are
// verified, but only at the member's end: until [io.EOF] is returned, the bytes
// delivered so far are unverified.
//
// It accepts and rejects the same streams as [compress/gzip], but for these:
//
//   - Zero bytes behind the last member are padding, as they are for gzip(1).
//   - A reserved flag in a header is an error (RFC 1952, section 2.3.1.2).
//   - No bytes at all are not a gzip stream.
//
// A Reader reads its source to the end and in large pieces. It is not safe for
// concurrent use.
type Reader struct {
	input
	codes
	member

	step step // what comes next in the stream
	last bool // the current DEFLATE block is the member's last one
	left int  // bytes left in the current stored block

	out  *Block // the block being filled; nil outside of Fill
	op   int    // where the next byte goes in out.buf
	base int    // the lowest index in out.buf that a match may refer to

	// window holds the last bytes of the previous block: the history that
	// matches in the next block may refer to. It is a copy, so that a block
	// belongs to the caller alone as soon as Fill has returned.
	window  [windowSize]byte
	history int // how many bytes at the end of window are valid

	err error // the error that Fill will return from now on
}

// NewReader returns a Reader of the gzip stream r. It reads nothing yet.
func NewReader(r io.Reader) *Reader {
	z := &Reader{}
	z.alphabets = newAlphabets()
	z.Reset(r)
	return z
}

// Reset makes z a Reader of the gzip stream r, as if it were new. It saves the
// allocation of some 120 KiB.
func (z *Reader) Reset(r io.Reader) {
	z.attach(r)
	z.member = member{}
	z.step = stepHeader
	z.last = false
	z.history = 0
	z.err = nil
}

// Fill replaces the contents of b by the next part of the decompressed stream:
// about 220 KiB, or what is left. It returns [io.EOF], and an empty b, when
// everything has been delivered and verified. What precedes an error in the
// stream is delivered before the error is.
//
// The Reader keeps no reference to b. A goroutine may fill blocks while others
// still read those filled before; who puts a block back into use must only see
// to it that nobody reads it any longer.
//
// A stream that ends too early is an [io.ErrUnexpectedEOF]; one that is wrong is
// a [*CorruptError]; errors of the source are returned as they are.
func (z *Reader) Fill(b *Block) error {
	z.open(b)
	for z.err == nil && z.op < blockFull {
		z.err = z.advance()
	}
	z.close()
	if len(b.Bytes()) > 0 {
		return nil
	}
	return z.err
}

// step names the part of a gzip stream that comes next.
type step uint8

const (
	stepHeader  step = iota // a member's header, or the end of the stream
	stepBlock               // the header of a DEFLATE block
	stepStored              // the rest of a stored block
	stepHuffman             // the rest of a compressed block
	stepTrailer             // a member's trailer
)

// advance decodes the next part of the stream, or as much of it as fits into the
// block.
func (z *Reader) advance() error {
	switch z.step {
	case stepHeader:
		return z.readHeader()
	case stepBlock:
		return z.readBlockHeader()
	case stepStored:
		return z.copyStored()
	case stepHuffman:
		return z.decodeSymbols()
	default:
		return z.readTrailer()
	}
}
