package inflate

import (
	"encoding/binary"
	"hash/crc32"
)

// The member header (RFC 1952, section 2.3).
const (
	gzipID1     = 0x1f
	gzipID2     = 0x8b
	gzipDeflate = 8

	flagHdrCRC   = 1 << 1
	flagExtra    = 1 << 2
	flagName     = 1 << 3
	flagComment  = 1 << 4
	flagReserved = 0xe0

	// maxString bounds the name and the comment, with their final zero byte.
	// The RFC knows no bound; this one is compress/gzip's, so that both accept
	// the same streams.
	maxString = 512
)

// member is what must be known of the current gzip member to verify it.
type member struct {
	digest uint32 // CRC-32 of the bytes before summed
	size   uint32 // their number, modulo 2^32
	summed int    // the index in the block up to which digest and size count
	later  bool   // a member has been read already
}

// sum brings digest and size up to date.
func (z *Reader) sum() {
	p := z.out.buf[z.summed:z.op]
	z.digest = crc32.Update(z.digest, crc32.IEEETable, p)
	z.size += uint32(len(p)) //nolint:gosec // G115: ISIZE is defined modulo 2^32
	z.summed = z.op
}

// readHeader reads a member's header, or recognises the end of the stream.
func (z *Reader) readHeader() error {
	if z.later {
		if !z.buffer(1) {
			return z.ended()
		}
		if z.buf[z.pos] == 0 {
			return z.skipPadding()
		}
	}
	z.digest = 0
	p, err := z.headerBytes(10)
	if err != nil {
		return err
	}
	flags := p[3]
	switch {
	case p[0] != gzipID1 || p[1] != gzipID2:
		return z.corrupt("no gzip header")
	case p[2] != gzipDeflate:
		return z.corrupt("unknown compression method")
	case flags&flagReserved != 0:
		return z.corrupt("reserved header flag")
	}
	if err := z.readOptional(flags); err != nil {
		return err
	}
	z.digest, z.size, z.summed = 0, 0, z.op
	z.base = z.op // no match reaches into the member before
	z.later = true
	z.step = stepBlock
	return nil
}

// readOptional reads the parts of the header that flags announce.
func (z *Reader) readOptional(flags byte) error {
	if flags&flagExtra != 0 {
		p, err := z.headerBytes(2)
		if err != nil {
			return err
		}
		if _, err := z.headerBytes(int(binary.LittleEndian.Uint16(p))); err != nil {
			return err
		}
	}
	for _, flag := range []byte{flagName, flagComment} {
		if flags&flag == 0 {
			continue
		}
		if err := z.readString(); err != nil {
			return err
		}
	}
	if flags&flagHdrCRC == 0 {
		return nil
	}
	want := z.digest & 0xffff
	p, err := z.headerBytes(2)
	if err != nil {
		return err
	}
	if uint32(binary.LittleEndian.Uint16(p)) != want {
		return z.corrupt("wrong header checksum")
	}
	return nil
}

// readString reads a zero-terminated string.
func (z *Reader) readString() error {
	for range maxString {
		p, err := z.headerBytes(1)
		if err != nil {
			return err
		}
		if p[0] == 0 {
			return nil
		}
	}
	return z.corrupt("header string longer than 511 bytes")
}

// headerBytes consumes n bytes of the header and adds them to its checksum.
func (z *Reader) headerBytes(n int) ([]byte, error) {
	p, err := z.takeBytes(n)
	z.digest = crc32.Update(z.digest, crc32.IEEETable, p)
	return p, err
}

// readTrailer reads a member's trailer and verifies the member.
func (z *Reader) readTrailer() error {
	z.align()
	p, err := z.takeBytes(8)
	if err != nil {
		return err
	}
	z.sum()
	switch {
	case binary.LittleEndian.Uint32(p) != z.digest:
		return z.corrupt("wrong checksum")
	case binary.LittleEndian.Uint32(p[4:]) != z.size:
		return z.corrupt("wrong length")
	}
	z.step = stepHeader
	return nil
}

// skipPadding reads the zero bytes behind the last member: tapes and some
// registries' clients pad streams to a multiple of their block size, and gzip(1)
// ignores that.
func (z *Reader) skipPadding() error {
	for z.buffer(1) {
		for _, c := range z.buf[z.pos:z.end] {
			if c != 0 {
				return z.corrupt("data behind the padding")
			}
			z.pos++
		}
	}
	return z.ended()
}
