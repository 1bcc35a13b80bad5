package inflate

import "encoding/binary"

// A match whose distance is less than its length repeats bytes that it has
// itself produced (RFC 1951, section 3.2.3). Copying it by words is right as
// long as a word is not longer than the distance, for then all that is read has
// been written before. What is copied beyond the end of a match does no harm:
// it lies where the next symbols will be written.

// copyNear copies the match from src to buf[dst:end] where the distance, dst-src,
// is less than 16.
//
// It is not inlined because the registers of the decoding loop are better spent
// on the larger distances, which are more frequent.
//
//go:noinline
func copyNear(buf *blockBuffer, dst, src, end int) {
	distance := dst - src
	switch {
	case distance >= 8:
		for ; dst < end; dst += 8 {
			copy8(buf, dst, src)
			src += 8
		}
	case distance == 1: // a run of one byte, like the padding in an archive
		word := uint64(buf[src&blockMask]) * 0x0101010101010101
		for ; dst < end; dst += 16 {
			put8(buf, dst, word)
			put8(buf, dst+8, word)
		}
	default: // of each word, the first distance bytes are right
		for ; dst < end; dst += distance {
			copy8(buf, dst, src)
			src += distance
		}
	}
}

// copy16 copies 16 bytes.
func copy16(buf *blockBuffer, dst, src int) {
	dst &= blockMask
	src &= blockMask
	*(*[16]byte)(buf[dst : dst+16]) = *(*[16]byte)(buf[src : src+16])
}

// copy8 copies 8 bytes.
func copy8(buf *blockBuffer, dst, src int) {
	src &= blockMask
	put8(buf, dst, binary.LittleEndian.Uint64(buf[src:src+8]))
}

// put8 writes the 8 bytes of word.
func put8(buf *blockBuffer, dst int, word uint64) {
	dst &= blockMask
	binary.LittleEndian.PutUint64(buf[dst:dst+8], word)
}
