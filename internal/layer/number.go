package layer

import "math"

// numbers parses fields, and notes if one was invalid.
type numbers struct{ valid bool }

func (n *numbers) field(field []byte) int64 {
	v, ok := number(field)
	n.valid = n.valid && ok
	return v
}

// number parses a numeric field: octal digits, or what GNU tar writes for a
// number that these cannot hold, "base-256" (GNU tar manual, "Extensions"): a
// first byte with its highest bit set, and then a number in two's complement,
// the most significant byte first, that begins with the other bits of that
// byte. It reports false for what is neither or does not fit an int64.
func number(field []byte) (int64, bool) {
	if field[0]&0x80 == 0 {
		return octal(field)
	}
	// A negative number is the complement of what its inverted bytes hold.
	negative := field[0]&0x40 != 0
	var invert byte
	if negative {
		invert = 0xff
	}
	n := uint64((field[0] ^ invert) & 0x7f)
	for _, c := range field[1:] {
		if n > math.MaxInt64>>8 {
			return 0, false
		}
		n = n<<8 | uint64(c^invert)
	}
	if negative {
		return ^int64(n), true
	}
	return int64(n), true
}

// octal parses a field of octal digits, at most 12, which may stand between
// spaces and NUL bytes; nothing but these is zero. After the digits, whatever
// follows a NUL byte is ignored.
func octal(field []byte) (int64, bool) {
	for len(field) > 0 && isPadding(field[0]) {
		field = field[1:]
	}
	var n int64
	for i, c := range field {
		if c&^7 != '0' {
			return n, i > 0 && endsOctal(field[i:])
		}
		n = n<<3 | int64(c&7)
	}
	return n, true
}

// endsOctal reports whether rest may follow the digits of a field.
func endsOctal(rest []byte) bool {
	for i, c := range rest {
		if c == 0 && i == 0 {
			return true
		}
		if !isPadding(c) {
			return false
		}
	}
	return true
}

func isPadding(c byte) bool { return c == 0 || c == ' ' }
