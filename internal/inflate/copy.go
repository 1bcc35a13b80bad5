package inflate

import "encoding/binary"

// A match of a distance shorter than its length repeats bytes that it has
// produced itself (RFC 1951, section 3.2.3). Copying by words is right as long as
// a word is not longer than the distance: then all that is read has been written.
// A word copied beyond the end of the match does no harm: it lies where the next symbols
// will be written.

// copyNear copies the match from src to buf[dst:end] where dst-src is less than 16.
//
// It is a function of its own, and not in line, so that the registers of the
// decoding loop are spent on the frequent case of larger distances.
//
//go:noinline
func copyNear(buf *[blockSize + wordSlack]byte, dst, src, end int) {
	distance := dst - src
	switch {
	case distance >= 8:
		for ; dst < end; dst += 8 {
			copy8(buf, dst, src)
			src += 8
		}
	case distance == 1: // a run of one byte, often long
		word := uint64(buf[src&blockMask]) * 0x0101010101010101
		for ; dst < end; dst += 16 {
			put8(buf, dst, word)
			put8(buf, dst+8, word)
		}
	default:
		for ; dst < end; dst += distance {
			copy8(buf, dst, src)
			src += distance
		}
	}
}

// copy16 copies 16 bytes.
func copy16(buf *[blockSize + wordSlack]byte, dst, src int) {
	dst &= blockMask
	src &= blockMask
	*(*[16]byte)(buf[dst : dst+16]) = *(*[16]byte)(buf[src : src+16])
}

// copy8 copies 8 bytes.
func copy8(buf *[blockSize + wordSlack]byte, dst, src int) {
	src &= blockMask
	put8(buf, dst, binary.LittleEndian.Uint64(buf[src:src+8]))
}

// put8 writes the 8 bytes of word.
func put8(buf *[blockSize + wordSlack]byte, dst int, word uint64) {
	dst &= blockMask
	binary.LittleEndian.PutUint64(buf[dst:dst+8], word)
}
