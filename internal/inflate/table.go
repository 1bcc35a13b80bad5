package inflate

import "math/bits"

// Sizes of the decoding tables. A code of at most literalBits bits is found by
// one look into the table; the few longer ones need a second look into a subtable
// behind the main one. 11 and 8 bits are what libdeflate uses, and were the
// fastest here too.
//
// The program enough.c of zlib computes how many entries all complete codes
// need at most: 2342 for 288 symbols and 11 bits, 402 for 32 symbols and 8
// bits. The arrays are of the next power of two, so that masked indices are in
// bounds.
const (
	literalBits  = 11
	distanceBits = 8
	lengthBits   = 7 // the longest code of a code length: there are no subtables

	literalMask  = 1<<literalBits - 1
	distanceMask = 1<<distanceBits - 1

	literalTable  = 1 << 12
	distanceTable = 1 << 9
	lengthTable   = 1 << lengthBits
)

// codes holds the decoding tables of the current compressed block.
type codes struct {
	literals  [literalTable]entry
	distances [distanceTable]entry
	lengths   [lengthTable]entry

	fixed     bool // literals and distances are the fixed ones
	alphabets alphabets
}

// buildTable fills a decoding table, indexed by the next tableBits bits of the
// stream, for the canonical code (RFC 1951, section 3.2.2) in which symbol i has
// a code of lens[i] bits. It reports whether there is such a code.
//
// A code must use up all bit patterns. Like everybody, it makes exceptions for
// a code of no symbols, which a block without matches has for its distances,
// and for a code of one symbol of one bit; the patterns without a symbol are
// invalid.
//
// Codes are sent with their first bit lowest, so the table is indexed by
// reversed codes, and a code of n bits has to fill all indices whose low n bits
// it is. As in libdeflate, codes are placed from short to long in a table that is
// doubled, by copying it behind itself, each time the length grows: every entry
// is thereby written about twice, and mostly by memmove.
func buildTable(table []entry, tableBits uint32, symbols []entry, lens []uint8) bool {
	var c code
	c.sort(symbols, lens)
	if !c.complete() {
		return c.fillDegenerate(table[:1<<tableBits])
	}
	sorted := c.sorted[:c.total]
	pattern := uint32(0)
	for n := uint32(1); n <= tableBits; n++ {
		size := uint32(1) << n
		copy(table[size/2:size], table[:size/2])
		for _, symbol := range sorted[:c.count[n]] {
			table[pattern] = withCode(symbol, n)
			pattern = nextPattern(pattern, n)
		}
		sorted = sorted[c.count[n]:]
	}
	if len(sorted) > 0 {
		c.fillSubtables(table, tableBits, sorted, pattern)
	}
	return true
}

// code is a canonical code: the number of codes of each length, and the symbols
// in the order of their codes.
type code struct {
	count  [maxCodeBits + 1]uint32
	sorted [literalSymbols]entry
	total  uint32
}

func (c *code) sort(symbols []entry, lens []uint8) {
	for _, n := range lens {
		c.count[n&maxCodeBits]++
	}
	c.count[0] = 0
	var next [maxCodeBits + 1]uint32
	for n, count := range c.count {
		next[n] = c.total
		c.total += count
	}
	for i, n := range lens {
		if n != 0 {
			c.sorted[next[n&maxCodeBits]] = symbols[i]
			next[n&maxCodeBits]++
		}
	}
}

// complete reports whether every bit pattern is the beginning of exactly one
// code, or has one as its beginning.
func (c *code) complete() bool {
	used := uint32(0)
	for n, count := range c.count {
		used += count << (maxCodeBits - n)
	}
	return used == 1<<maxCodeBits
}

// fillDegenerate fills the table for a code of no symbols, or for one symbol of
// one bit. It reports whether c is such a code.
func (c *code) fillDegenerate(table []entry) bool {
	if c.total > 1 || c.total != c.count[1] {
		return false
	}
	for i := range table {
		table[i] = withCode(exceptional, 1)
	}
	if c.total == 1 {
		for i := 0; i < len(table); i += 2 {
			table[i] = withCode(c.sorted[0], 1)
		}
	}
	return true
}

// fillSubtables places the symbols whose codes are longer than the main table's
// tableBits. Those that begin with the same tableBits follow each other; they
// share a subtable behind the main table, and the main table points there.
func (c *code) fillSubtables(table []entry, tableBits uint32, sorted []entry, pattern uint32) {
	n := tableBits + 1
	count := c.count[n]
	prefix, start, end := ^uint32(0), uint32(0), uint32(1)<<tableBits
	for _, symbol := range sorted {
		for count == 0 {
			n++
			count = c.count[n]
		}
		if p := pattern & (1<<tableBits - 1); p != prefix {
			width := c.subtableBits(n, count, tableBits)
			prefix, start, end = p, end, end+1<<width
			table[p] = exceptional | subtable | entry(start)<<valueShift | entry(width)<<codeShift | entry(tableBits)
		}
		for i := start + pattern>>tableBits; i < end; i += 1 << (n - tableBits) {
			table[i] = withCode(symbol, n-tableBits)
		}
		pattern = nextPattern(pattern, n)
		count--
	}
}

// subtableBits returns the width of a subtable that begins with a code of n
// bits when count codes of this length are left: wide enough for the codes that
// fill it up, because the code is complete.
func (c *code) subtableBits(n, count, tableBits uint32) uint32 {
	width := n - tableBits
	for used := count; used < 1<<width; {
		width++
		used = used<<1 + c.count[tableBits+width]
	}
	return width
}

// withCode returns the entry of a symbol that has a code of n bits (or n bits
// behind those that led to the subtable).
func withCode(symbol entry, n uint32) entry {
	return symbol + entry(n)<<codeShift + entry(n)
}

// nextPattern returns the reversed form of the code of n bits that follows the
// one with the given reversed form: it adds one at the top end. After the last
// code it returns 0.
func nextPattern(pattern, n uint32) uint32 {
	zeros := pattern ^ (1<<n - 1)
	if zeros == 0 {
		return 0
	}
	top := uint32(1) << (bits.Len32(zeros) - 1)
	return pattern&(top-1) | top
}
