package inflate

// Sizes of the alphabets (RFC 1951, sections 3.2.5 to 3.2.7).
const (
	maxCodeBits = 15 // the longest code of a literal, length or distance

	literalSymbols  = 288 // 0 to 255 literals, 256 end of block, then lengths
	distanceSymbols = 32
	lengthSymbols   = 19 // of the code that compresses the code lengths

	endOfBlock   = 256
	firstLength  = 257
	lastLength   = 285 // 286 and 287 have codes in a fixed block, but no meaning
	lastDistance = 29  // nor have 30 and 31
)

// entry is what a decoding table says of the bits that lead to it. All kinds
// have in the
//
//	bits 0 to 7    how many bits to consume: those of the code and, for
//	               a length or distance, the extra bits that follow
//	bits 8 to 12   the part of these that belongs to the code
//	bits 16 to 30  a value
//
// and the kind of the entry in the flags.
//
//	kind       value                       flags
//	literal    the byte                    literal
//	length     the smallest of its code    none
//	distance   the smallest of its code    none
//	subtable   its index; bits 8 to 12     exceptional, subtable
//	           tell its width in bits
//	end        -                           exceptional, endOfCodes
//	invalid    -                           exceptional
//
// One test of literal and one of exceptional thus separate the frequent kinds
// from the rare ones. The layout is a variation of libdeflate's.
type entry uint32

const (
	literal     entry = 1 << 31
	exceptional entry = 1 << 15
	subtable    entry = 1 << 14
	endOfCodes  entry = 1 << 13

	consumeMask = 0xff
	codeShift   = 8
	codeMask    = 0x1f
	valueShift  = 16
)

// alphabets has the entries of all symbols for codes of zero bits.
type alphabets struct {
	literals  [literalSymbols]entry
	distances [distanceSymbols]entry
	lengths   [lengthSymbols]entry
}

func newAlphabets() alphabets {
	var a alphabets
	for i := range entry(literalSymbols) {
		a.literals[i] = literalSymbol(i)
	}
	for i := range entry(distanceSymbols) {
		a.distances[i] = distanceSymbol(i)
	}
	for i := range entry(lengthSymbols) {
		a.lengths[i] = i << valueShift
	}
	return a
}

// literalSymbol returns the entry for a symbol of the literal and length
// alphabet. The lengths come in groups of four, each group with one extra bit
// more than the one before (RFC 1951, section 3.2.5, first table).
func literalSymbol(symbol entry) entry {
	i := symbol - firstLength
	switch {
	case symbol < endOfBlock:
		return literal | symbol<<valueShift
	case symbol == endOfBlock:
		return exceptional | endOfCodes
	case symbol > lastLength:
		return exceptional
	case symbol == lastLength:
		return maxMatch << valueShift
	case i < 8:
		return (3 + i) << valueShift
	}
	extra := i/4 - 1
	return (3+(4+i%4)<<extra)<<valueShift | extra
}

// distanceSymbol is literalSymbol for the distance alphabet, where the groups
// are pairs (the second table of that section).
func distanceSymbol(symbol entry) entry {
	switch {
	case symbol > lastDistance:
		return exceptional
	case symbol < 4:
		return (1 + symbol) << valueShift
	}
	extra := symbol/2 - 1
	return (1+(2+symbol%2)<<extra)<<valueShift | extra
}
