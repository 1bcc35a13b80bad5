package jsonrpc

import (
	"encoding/binary"
	"unicode/utf8"
)

// maxDepth is how deep values may be nested, as for encoding/json.
const maxDepth = 10_000

// scanner checks that a text is JSON (RFC 8259) in UTF-8. Line breaks between
// tokens become spaces on the way.
type scanner struct {
	raw   []byte
	at    int
	depth int
}

// whole checks that there is one value and nothing else but space, which it
// cuts off. If the value is an object it shows its members to a function.
func (s *scanner) whole(member func(name, value Span)) bool {
	s.space()
	s.raw, s.at = s.raw[s.at:], 0
	ok := false
	if s.peek() == '{' {
		ok = s.object(member)
	} else {
		ok = s.value()
	}
	end := s.at
	s.space()
	rest := len(s.raw) - s.at
	s.raw = s.raw[:end:end]
	return ok && rest == 0
}

// value passes over a value.
func (s *scanner) value() bool {
	switch c := s.peek(); c {
	case '{':
		return s.object(nil)
	case '[':
		return s.array()
	case '"':
		return s.text()
	case 't':
		return s.word("true")
	case 'f':
		return s.word("false")
	case 'n':
		return s.word("null")
	default:
		return s.number()
	}
}

// object passes over an object, and shows its members to a function unless
// that is nil.
func (s *scanner) object(member func(name, value Span)) bool {
	if s.depth++; s.depth > maxDepth {
		return false
	}
	s.at++
	for first := true; ; first = false {
		s.space()
		if first && s.skip('}') {
			break
		}
		name := Span{Start: s.at}
		if s.peek() != '"' || !s.text() {
			return false
		}
		name.End = s.at
		s.space()
		if !s.skip(':') {
			return false
		}
		s.space()
		value := Span{Start: s.at}
		if !s.value() {
			return false
		}
		value.End = s.at
		if member != nil {
			member(name, value)
		}
		s.space()
		if s.skip('}') {
			break
		}
		if !s.skip(',') {
			return false
		}
	}
	s.depth--
	return true
}

func (s *scanner) array() bool {
	if s.depth++; s.depth > maxDepth {
		return false
	}
	s.at++
	for first := true; ; first = false {
		s.space()
		if first && s.skip(']') {
			break
		}
		if !s.value() {
			return false
		}
		s.space()
		if s.skip(']') {
			break
		}
		if !s.skip(',') {
			return false
		}
	}
	s.depth--
	return true
}

// text passes over a string.
func (s *scanner) text() bool {
	raw := s.raw
	for i := s.at + 1; i < len(raw); {
		if i+8 <= len(raw) && arePlain(binary.LittleEndian.Uint64(raw[i:])) {
			i += 8
			continue
		}
		switch c := raw[i]; {
		case c == '"':
			s.at = i + 1
			return true
		case c == '\\':
			n := escape(raw[i:])
			if n == 0 {
				return false
			}
			i += n
		case c < ' ':
			return false
		case c < utf8.RuneSelf:
			i++
		default:
			r, n := utf8.DecodeRune(raw[i:])
			if r == utf8.RuneError && n == 1 {
				return false
			}
			i += n
		}
	}
	return false
}

// arePlain says whether eight bytes are none of those that text has to look
// at: above ASCII, below the space, quotes and backslashes. The borrow of a
// byte that is one of them may make others look so, which does no harm.
func arePlain(eight uint64) bool {
	const (
		ones  = 0x0101010101010101
		highs = 0x8080808080808080
	)
	quotes, slashes := eight^ones*'"', eight^ones*'\\'
	return (eight|(eight-ones*' ')|(quotes-ones)&^quotes|(slashes-ones)&^slashes)&highs == 0
}

// escape returns the length of the escape that a text begins with; 0 if it is
// none.
func escape(raw []byte) int {
	if len(raw) < 2 {
		return 0
	}
	switch raw[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		const length = len(`\u0000`)
		if len(raw) < length {
			return 0
		}
		for _, c := range raw[2:length] {
			if !isHex(c) {
				return 0
			}
		}
		return length
	}
	return 0
}

func isHex(c byte) bool {
	return isDigit(c) || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func (s *scanner) number() bool {
	s.skip('-')
	if !s.skip('0') && !s.digits() {
		return false
	}
	if s.skip('.') && !s.digits() {
		return false
	}
	if s.skip('e') || s.skip('E') {
		if !s.skip('+') {
			s.skip('-')
		}
		return s.digits()
	}
	return true
}

// digits passes over digits, of which there must be one.
func (s *scanner) digits() bool {
	start := s.at
	for isDigit(s.peek()) {
		s.at++
	}
	return s.at > start
}

func (s *scanner) word(word string) bool {
	end := s.at + len(word)
	if end > len(s.raw) || string(s.raw[s.at:end]) != word {
		return false
	}
	s.at = end
	return true
}

// space passes over the space between tokens.
func (s *scanner) space() {
	for ; s.at < len(s.raw); s.at++ {
		switch s.raw[s.at] {
		case '\r', '\n':
			s.raw[s.at] = ' '
		case ' ', '\t':
		default:
			return
		}
	}
}

// skip passes over a byte if it is the next one.
func (s *scanner) skip(c byte) bool {
	if s.peek() != c {
		return false
	}
	s.at++
	return true
}

// peek returns the next byte; 0, which no token begins with, at the end.
func (s *scanner) peek() byte {
	if s.at < len(s.raw) {
		return s.raw[s.at]
	}
	return 0
}
