package inflate

import "encoding/binary"

// The types of blocks (RFC 1951, section 3.2.3).
const (
	blockStored  = 0
	blockFixed   = 1
	blockDynamic = 2
)

// readBlockHeader reads the header of the next DEFLATE block, or leaves the
// DEFLATE data behind when there is none.
func (z *Reader) readBlockHeader() error {
	if z.last {
		z.last = false
		z.step = stepTrailer
		return nil
	}
	header, err := z.take(3)
	if err != nil {
		return err
	}
	z.last = header&1 != 0
	switch header >> 1 {
	case blockStored:
		return z.readStoredHeader()
	case blockFixed:
		z.buildFixed()
	case blockDynamic:
		if err := z.readDynamicHeader(); err != nil {
			return err
		}
	default:
		return z.corrupt("reserved block type")
	}
	z.step = stepHuffman
	return nil
}

// readStoredHeader reads the length of a stored block (section 3.2.4).
func (z *Reader) readStoredHeader() error {
	z.align()
	p, err := z.takeBytes(4)
	if err != nil {
		return err
	}
	n := binary.LittleEndian.Uint16(p)
	if n != ^binary.LittleEndian.Uint16(p[2:]) {
		return z.corrupt("wrong complement of a stored length")
	}
	z.left = int(n)
	z.step = stepStored
	return nil
}

// copyStored copies what is left of a stored block, as far as the input buffer
// and the block reach.
func (z *Reader) copyStored() error {
	if z.left == 0 {
		z.step = stepBlock
		return nil
	}
	if !z.buffer(1) {
		return z.short()
	}
	n := min(z.left, z.end-z.pos, blockFull-z.op)
	copy(z.out.buf[z.op:z.op+n], z.buf[z.pos:z.pos+n])
	z.op += n
	z.pos += n
	z.left -= n
	return nil
}

// buildFixed makes the tables of the fixed codes (section 3.2.6), unless they
// are there still: a block can be as short as ten bits, and a stream of nothing
// but such blocks must not cost two tables each.
func (z *Reader) buildFixed() {
	if z.fixed {
		return
	}
	var lens [literalSymbols + distanceSymbols]uint8
	for i := range lens {
		switch {
		case i < 144:
			lens[i] = 8
		case i < 256:
			lens[i] = 9
		case i < 280:
			lens[i] = 7
		case i < literalSymbols:
			lens[i] = 8
		default:
			lens[i] = 5
		}
	}
	z.fixed = z.buildTables(lens[:], literalSymbols)
}

// buildTables makes the tables of a block from the code lengths of its literals,
// of which there are n, and of its distances. It reports whether they form codes.
func (z *Reader) buildTables(lens []uint8, n int) bool {
	return buildTable(z.literals[:], literalBits, z.alphabets.literals[:], lens[:n]) &&
		buildTable(z.distances[:], distanceBits, z.alphabets.distances[:], lens[n:])
}

// readDynamicHeader reads the codes of a dynamic block (section 3.2.7).
func (z *Reader) readDynamicHeader() error {
	header, err := z.take(14)
	if err != nil {
		return err
	}
	literals := int(header&31) + 257
	distances := int(header>>5&31) + 1
	if literals > lastLength+1 || distances > lastDistance+1 {
		return z.corrupt("too many codes")
	}
	if err := z.readLengthCode(int(header>>10) + 4); err != nil {
		return err
	}
	var lens [lastLength + 1 + lastDistance + 1]uint8
	if err := z.readLengths(lens[:literals+distances]); err != nil {
		return err
	}
	if lens[endOfBlock] == 0 {
		return z.corrupt("no code for the end of the block")
	}
	z.fixed = false
	if !z.buildTables(lens[:literals+distances], literals) {
		return z.corrupt("impossible code lengths")
	}
	return nil
}

// readLengthCode reads the code in which the code lengths are written: n
// lengths of three bits each, in an order that puts the rarely used ones last.
func (z *Reader) readLengthCode(n int) error {
	order := [lengthSymbols]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}
	var lens [lengthSymbols]uint8
	for _, symbol := range order[:n] {
		v, err := z.take(3)
		if err != nil {
			return err
		}
		lens[symbol] = uint8(v & 7)
	}
	if !buildTable(z.lengths[:], lengthBits, z.alphabets.lengths[:], lens[:]) {
		return z.corrupt("impossible code lengths of the code lengths")
	}
	return nil
}

// Symbols of the code lengths that stand for several lengths.
const (
	repeatLast = 16 // 3 to 6 times the length before
	repeatZero = 17 // 3 to 10 zeros; 18 is 11 to 138 zeros
)

// readLengths reads code lengths until lens is full. Literals and distances
// form one sequence: a repetition may reach from one to the other.
func (z *Reader) readLengths(lens []uint8) error {
	for i := 0; i < len(lens); {
		symbol, err := z.readSymbol(z.lengths[:], lengthBits)
		if err != nil {
			return err
		}
		value := uint8(symbol >> valueShift & 0xff)
		if value < repeatLast {
			lens[i] = value
			i++
			continue
		}
		n, value, err := z.readRepetition(value, lens[:i])
		if err != nil {
			return err
		}
		if n > len(lens)-i {
			return z.corrupt("more code lengths than announced")
		}
		for range n {
			lens[i] = value
			i++
		}
	}
	return nil
}

// readRepetition reads the rest of a repetition: how often which code length is
// repeated.
func (z *Reader) readRepetition(symbol uint8, before []uint8) (n int, value uint8, err error) {
	var v uint64
	switch symbol {
	case repeatLast:
		if len(before) == 0 {
			return 0, 0, z.corrupt("repetition of no code length")
		}
		v, err = z.take(2)
		return 3 + int(v&0x7f), before[len(before)-1], err
	case repeatZero:
		v, err = z.take(3)
		return 3 + int(v&0x7f), 0, err
	default:
		v, err = z.take(7)
		return 11 + int(v&0x7f), 0, err
	}
}
