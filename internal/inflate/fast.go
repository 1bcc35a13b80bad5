package inflate

const (
	// fastInput is how much input must be buffered for decodeFast to make at
	// least one round.
	fastInput = 32

	// roundInput is how much input one round may load: it refills the bit buffer
	// twice, which advances by 7 bytes at most and loads 8.
	roundInput = fastInput - 8
)

// decodeFast decodes symbols for as long as a round of its loop needs to check
// neither the input nor the output, or until the block of codes ends.
//
// A round decodes up to two literals, and then one more literal, or a match, or
// the end of the block. It begins with 56 valid bits at least and with
// the entry of the first symbol already loaded. No check for valid bits is needed
// within a round:
//
//	three literals                3 * 11 bits, and 11 to load the next entry by
//	two literals and a length     2 * 11 + 15 + 5 bits, and 8 for the distance's entry
//	after a refill, a distance    15 + 13 bits, and 11 to load the next entry by
//
// Entries are loaded as early as their bits are known, in particular before the
// refill, and before a match is copied: the load takes the processor longer than
// anything else here.
//
// All of an entry is subtracted from n, not its low byte alone, and shifts use
// e&63, which costs nothing because the processor does this anyway. The upper
// bits of n are therefore meaningless within the loop.
func (z *Reader) decodeFast() error {
	in, out := &z.buf, &z.out.buf
	op, pos, bits, n := z.op, z.pos, z.bitbuf, z.nbits
	lastPos := z.end - roundInput
	fault := ""

	bits, n, pos = refill(in, bits, n, pos)
	e := z.literals[bits&literalMask]
	for pos <= lastPos && op < blockFull {
		saved := bits
		bits >>= e & 63
		n -= uint64(e)
		if e&literal != 0 {
			out[op&blockMask] = byte(e >> valueShift & 0xff)
			op++
			e = z.literals[bits&literalMask]
			saved = bits
			bits >>= e & 63
			n -= uint64(e)
			if e&literal != 0 {
				out[op&blockMask] = byte(e >> valueShift & 0xff)
				op++
				e = z.literals[bits&literalMask]
				saved = bits
				bits >>= e & 63
				n -= uint64(e)
				if e&literal != 0 {
					out[op&blockMask] = byte(e >> valueShift & 0xff)
					op++
					e = z.literals[bits&literalMask]
					bits, n, pos = refill(in, bits, n, pos)
					continue
				}
			}
		}
		if e&exceptional != 0 {
			if e&subtable != 0 {
				e = z.literals[subtableIndex(e, bits)&(literalTable-1)]
				saved = bits
				bits >>= e & 63
				n -= uint64(e)
			}
			if e&literal != 0 {
				out[op&blockMask] = byte(e >> valueShift & 0xff)
				op++
				e = z.literals[bits&literalMask]
				bits, n, pos = refill(in, bits, n, pos)
				continue
			}
			if e&exceptional != 0 {
				if e&endOfCodes == 0 {
					fault = noSymbol
				}
				z.step = stepBlock
				break
			}
		}
		length := valueOf(e, saved)

		e = z.distances[bits&distanceMask]
		bits, n, pos = refill(in, bits, n, pos)
		if e&exceptional != 0 {
			if e&subtable != 0 {
				bits >>= e & 63
				n -= uint64(e)
				e = z.distances[subtableIndex(e, bits)&(distanceTable-1)]
			}
			if e&exceptional != 0 {
				fault = noSymbol
				break
			}
		}
		distance := valueOf(e, bits)
		bits >>= e & 63
		n -= uint64(e)
		if distance > op-z.base {
			fault = tooFar
			break
		}

		e = z.literals[bits&literalMask]
		bits, n, pos = refill(in, bits, n, pos)

		dst, src := op, op-distance
		op += length
		if distance < 16 {
			copyNear(out, dst, src, op)
			continue
		}
		copy16(out, dst, src)
		copy16(out, dst+16, src+16)
		for length > 32 {
			dst += 32
			src += 32
			length -= 32
			copy16(out, dst, src)
			copy16(out, dst+16, src+16)
		}
	}
	z.op, z.pos, z.bitbuf, z.nbits = op, pos, bits, n&63
	if fault != "" {
		return z.corrupt(fault)
	}
	return nil
}

func valueOf(e entry, bits uint64) int {
	extra := bits &^ (^uint64(0) << (e & 63)) >> (e >> codeShift & 63)
	return int((uint64(e>>valueShift) + extra) & 0xffff)
}

func subtableIndex(e entry, bits uint64) uint64 {
	width := e >> codeShift & codeMask
	return uint64(e>>valueShift) + bits&(1<<width-1)
}
