package inflate

const (
	// windowSize is how far back a match may refer (RFC 1951, section 2).
	windowSize = 32 << 10

	// maxMatch is the length of the longest match (section 3.2.5).
	maxMatch = 258

	// blockSize is a power of two, so that an index masked by blockMask is
	// known to the compiler to be in bounds.
	blockSize = 1 << 18
	blockMask = blockSize - 1

	// wordSize is the longest word that is copied at once. A block has room for
	// one at every masked index.
	wordSize = 16

	// blockFull is the index from which on a block counts as full. The decoder
	// compares with it once in a round of its loop, and a round writes two
	// literals, the longest match and, behind that, less than two words to spare.
	blockFull = blockSize - 2*maxMatch
)

// Block is a buffer of decompressed bytes, for [Reader.Fill]. The zero value is
// empty and ready for use. It is large (a quarter of a MiB): allocate it once and use it
// again.
type Block struct {
	// buf begins with windowSize bytes of history, so that the decoder treats
	// matches across blocks like all others and needs no ring buffer.
	buf blockBuffer
	end int
}

type blockBuffer [blockSize + wordSize]byte

// Bytes returns the decompressed bytes. They are valid until the block is filled
// again.
func (b *Block) Bytes() []byte {
	return b.buf[windowSize:max(b.end, windowSize)]
}

// open makes b the block to be filled and puts the history in front of it.
func (z *Reader) open(b *Block) {
	copy(b.buf[windowSize-z.history:windowSize], z.window[windowSize-z.history:])
	z.out = b
	z.op = windowSize
	z.base = windowSize - z.history
	z.summed = windowSize
}

// close completes the block and keeps a copy of the history for the next one.
func (z *Reader) close() {
	b := z.out
	z.sum()
	b.end = z.op
	z.history = min(z.op-z.base, windowSize)
	copy(z.window[windowSize-z.history:], b.buf[z.op-z.history:z.op])
	z.out = nil
}
