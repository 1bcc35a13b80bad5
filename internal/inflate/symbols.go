package inflate

// decodeSymbols decodes the rest of a compressed block, or as much of it as
// fits into the block: by the fast loop wherever enough input is buffered, and
// symbol by symbol in the last few bytes of the stream.
func (z *Reader) decodeSymbols() error {
	if z.buffer(fastInput) {
		return z.decodeFast()
	}
	return z.decodeOne()
}

// decodeOne decodes one literal or match, or the end of the block (section
// 3.2.3).
//
// It is what decodeFast does, without the tricks and with exact accounting of
// the bits: nothing is ever decoded from bits that the stream does not have.
func (z *Reader) decodeOne() error {
	symbol, err := z.readSymbol(z.literals[:], literalBits)
	switch {
	case err != nil:
		return err
	case symbol&literal != 0:
		z.out.buf[z.op] = byte(symbol >> valueShift & 0xff)
		z.op++
		return nil
	case symbol&endOfCodes != 0:
		z.step = stepBlock
		return nil
	}
	length, err := z.readExtra(symbol)
	if err != nil {
		return err
	}
	symbol, err = z.readSymbol(z.distances[:], distanceBits)
	if err != nil {
		return err
	}
	distance, err := z.readExtra(symbol)
	if err != nil {
		return err
	}
	if distance > z.op-z.base {
		return z.corrupt(tooFar)
	}
	for range length {
		z.out.buf[z.op] = z.out.buf[z.op-distance]
		z.op++
	}
	return nil
}

// readSymbol reads one code and returns the entry of its symbol.
func (z *Reader) readSymbol(table []entry, tableBits uint64) (entry, error) {
	if z.nbits < maxCodeBits {
		z.refill()
	}
	e := table[z.bitbuf&(1<<tableBits-1)]
	n := uint64(e >> codeShift & codeMask)
	if e&exceptional != 0 && e&subtable != 0 {
		index := z.bitbuf >> tableBits & (1<<n - 1)
		e = table[uint64(e>>valueShift)+index]
		n = tableBits + uint64(e>>codeShift&codeMask)
	}
	if n > z.nbits {
		return 0, z.short()
	}
	if e&exceptional != 0 && e&endOfCodes == 0 {
		return 0, z.corrupt(noSymbol)
	}
	z.bitbuf >>= n
	z.nbits -= n
	return e, nil
}

// readExtra reads the extra bits of a length or distance and returns its value.
func (z *Reader) readExtra(e entry) (int, error) {
	extra, err := z.take(uint64(e&consumeMask - e>>codeShift&codeMask))
	return int(e>>valueShift) + int(extra&0xffff), err
}
