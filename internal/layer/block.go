package layer

import (
	"bytes"
	"encoding/binary"
)

// blockSize is what tar archives consist of: a header is one block, and content
// is padded to whole ones.
const blockSize = 512

// block is the header of a member (POSIX, pax, "ustar Interchange Format").
type block [blockSize]byte

// Where the fields of a block begin; each ends where the next begins.
const (
	nameAt     = 0
	modeAt     = 100
	uidAt      = 108
	gidAt      = 116
	sizeAt     = 124
	mtimeAt    = 136
	checksumAt = 148
	typeAt     = 156
	linkAt     = 157
	magicAt    = 257
	versionAt  = 263
	userAt     = 265
	majorAt    = 329
	minorAt    = 337
	prefixAt   = 345
	prefixEnd  = 500

	// In the place of the prefix, GNU tar's own format has these (GNU tar
	// manual, "Basic Tar Format").
	gnuAtimeAt    = 345
	gnuCtimeAt    = 357
	gnuCtimeEnd   = 369
	gnuSparseAt   = 386
	gnuExtendedAt = 482
	gnuRealSizeAt = 483
	gnuRealEnd    = 495

	// And star(5) a shorter prefix and these.
	starPrefixEnd  = 476
	starAtimeAt    = 476
	starCtimeAt    = 488
	starCtimeEnd   = 500
	starTrailerAt  = 508
	starTrailerEnd = 512
)

// format is the dialect of a header, which tells what comes after linkAt.
type format uint8

const (
	formatV7 format = iota // nothing does
	formatUSTAR
	formatGNU
	formatSTAR
)

func (b *block) format() format {
	magic, version := string(b[magicAt:versionAt]), string(b[versionAt:userAt])
	switch {
	case magic == "ustar\x00" && string(b[starTrailerAt:starTrailerEnd]) == "tar\x00":
		return formatSTAR
	case magic == "ustar\x00":
		return formatUSTAR
	case magic == "ustar " && version == " \x00":
		return formatGNU
	}
	return formatV7
}

// sealed reports whether the checksum is right: the sum of all bytes, with the
// checksum's own as spaces. Some old writers added the bytes up as signed ones.
func (b *block) sealed(sum int64) bool {
	want, ok := octal(b[checksumAt:typeAt])
	if !ok {
		return false
	}
	for _, c := range b[checksumAt:typeAt] {
		sum += ' ' - int64(c)
	}
	return want == sum || want == sum-256*b.negatives()
}

// sum adds up all bytes, eight at a time: the even and the odd bytes of a word
// in four lanes of 16 bits each, where 64 times two bytes find room. The sum of a
// block of zeros, and of no other, is zero.
func (b *block) sum() int64 {
	const lanes = 0x00ff00ff00ff00ff
	var sum uint64
	for i := 0; i < blockSize; i += 8 {
		word := binary.LittleEndian.Uint64(b[i : i+8])
		sum += word&lanes + word>>8&lanes
	}
	sum = sum&0x0000ffff0000ffff + sum>>16&0x0000ffff0000ffff
	return int64(sum&0xffffffff + sum>>32)
}

// negatives counts the bytes that are negative as signed ones.
func (b *block) negatives() int64 {
	var n int64
	for i, c := range b {
		if c >= 0x80 && (i < checksumAt || i >= typeAt) {
			n++
		}
	}
	return n
}

// name returns the name with its prefix.
func (b *block) name() string {
	name := text(b[nameAt:modeAt])
	prefix := b.prefix()
	if len(prefix) == 0 {
		return string(name)
	}
	joined := make([]byte, 0, len(prefix)+1+len(name))
	return string(append(append(append(joined, prefix...), '/'), name...))
}

func (b *block) prefix() []byte {
	switch b.format() {
	case formatUSTAR:
		return text(b[prefixAt:prefixEnd])
	case formatSTAR:
		return text(b[prefixAt:starPrefixEnd])
	case formatGNU:
		return b.misplacedPrefix()
	case formatV7:
	}
	return nil
}

// misplacedPrefix returns the prefix that archive/tar wrote into headers of the
// GNU format, which has none, before Go 1.8 (golang.org/issue/12594): it is
// where the times of access and change belong, and no number.
func (b *block) misplacedPrefix() []byte {
	if isTime(b[gnuAtimeAt:gnuCtimeAt]) && isTime(b[gnuCtimeAt:gnuCtimeEnd]) {
		return nil
	}
	prefix := text(b[prefixAt:prefixEnd])
	for _, c := range prefix {
		if c >= 0x80 {
			return nil
		}
	}
	return prefix
}

// isTime reports whether an optional field holds a number or nothing.
func isTime(field []byte) bool {
	if field[0] == 0 {
		return true
	}
	_, ok := number(field)
	return ok
}

// text returns a field up to its first NUL byte, or all of it.
func text(field []byte) []byte {
	before, _, _ := bytes.Cut(field, []byte{0})
	return before
}
