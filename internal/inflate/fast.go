package inflate

const (
	// fastInput is how much input must be buffered for decodeFast to make at
	// least one round: the first refill advances by 7 bytes at most.
	fastInput = roundInput + 8

	// roundInput is how much input one round may touch: it refills twice, which
	// advances by 14 bytes at most, and the second refill loads 8 from there on.
	roundInput = 24
)

// decodeFast decodes symbols (section 3.2.3) until the block of codes ends, or
// the input or the room in the output gets short. It is where the time goes.
//
// A round of its loop decodes up to two literals, and after them one literal
// more, or one match, or the end of the block. It begins with at least 56 valid
// bits and with the entry of its first symbol loaded. That many bits make it
// needless to count them within a round:
//
//	three literals              3*11 bits, and 11 to look up the next entry
//	two literals and a length   2*11 + 15+5 bits, and 8 to look up the distance
//	refilled, a distance        15+13 bits, and 11 to look up the next entry
//
// It owes its speed to keeping short what each symbol has to wait for, which is
// the chain from the bits to the entry to the bits that are left:
//
//   - All kinds of entries say in the same place how many bits to consume, so
//     this is done before it is known what the entry is. The bits before are
//     saved, because the extra bits of a length are among them.
//   - The next entry is looked up as soon as its bits are known: before the
//     refill, which does not change them, and before a match is copied.
//   - Of an entry, all 32 bits are subtracted from n instead of the low byte, and
//     shifted by. Only the low 6 bits of n mean anything, and a shift by e&63 is
//     what the processor does anyway.
//
// Indices are masked, so that no access needs a check and yet none can leave its
// array, whatever the input is. In a correct decoder the masks change nothing:
// pos stays below end, op below blockSize, and a match begins at base or after
// it. (go build -gcflags=-d=ssa/check_bce shows where the compiler had to add
// checks; it must name neither this file nor copy.go.)
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

		// Up to three literals. The entry of a fourth symbol is left to the next
		// round.
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

		// Not a literal of a short code. If it is not a length of a short code
		// either, then a symbol of a long code, or the end, or nothing at all.
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
			if e&endOfCodes != 0 {
				z.step = stepBlock
				break
			}
			if e&exceptional != 0 {
				fault = noSymbol
				break
			}
		}

		// A match: its length, then its distance.
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

		// All of the next round's needs, before the copy.
		e = z.literals[bits&literalMask]
		bits, n, pos = refill(in, bits, n, pos)

		// Most matches are no longer than 32 bytes: these are copied without
		// looking at the length.
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

// valueOf returns the value of a length or distance, given its entry and the
// bits from its code on: the bits to be consumed without those of the code are
// the extra bits.
func valueOf(e entry, bits uint64) int {
	extra := bits &^ (^uint64(0) << (e & 63)) >> (e >> codeShift & 63)
	return int((uint64(e>>valueShift) + extra) & 0xffff)
}

// subtableIndex returns where a code goes on, given the entry that its first
// bits led to and the bits behind these.
func subtableIndex(e entry, bits uint64) uint64 {
	width := e >> codeShift & codeMask
	return uint64(e>>valueShift) + bits&(1<<width-1)
}
