package jsonrpc

import (
	"bytes"
	"encoding/json"
	"iter"
	"strings"
)

// The functions of this file walk over JSON whose validity has been checked.
// On anything else they find nonsense, but they end and stay inside of it.

// readMembers finds wanted members of the object at a place.
//
// A name that stands there twice is refused, as is one that differs only in
// case: decoders disagree about which of them counts, and what we read must be
// what the other side reads.
func readMembers(raw []byte, object Span, wanted map[string]*Span) error {
	for name, value := range members(raw, object) {
		at, ok := wanted[name]
		if !ok {
			for other := range wanted {
				if strings.EqualFold(name, other) {
					return invalid("the message has %q, which is written %q", name, other)
				}
			}
			continue
		}
		if !at.Absent() {
			return invalid("the message has %q twice", name)
		}
		*at = value
	}
	return nil
}

// members yields the members of the object at a place.
func members(raw []byte, object Span) iter.Seq2[string, Span] {
	raw = raw[:object.End]
	return func(yield func(string, Span) bool) {
		for i := skipPunctuation(raw, object.Start+1); i < len(raw) && raw[i] == '"'; {
			nameEnd := skipValue(raw, i)
			value := skipPunctuation(raw, nameEnd)
			end := skipValue(raw, value)
			if end == value || !yield(unquote(raw[i:nameEnd]), Span{value, end}) {
				return
			}
			i = skipPunctuation(raw, end)
		}
	}
}

// elements yields the elements of the array at a place.
func elements(raw []byte, array Span) iter.Seq[Span] {
	raw = raw[:array.End]
	return func(yield func(Span) bool) {
		for i := skipPunctuation(raw, array.Start+1); i < len(raw) && raw[i] != ']'; {
			end := skipValue(raw, i)
			if end == i || !yield(Span{i, end}) {
				return
			}
			i = skipPunctuation(raw, end)
		}
	}
}

// skipPunctuation returns where the next value, name or end begins.
func skipPunctuation(raw []byte, i int) int {
	for i < len(raw) && isPunctuation(raw[i]) {
		i++
	}
	return i
}

func isPunctuation(c byte) bool {
	return c == ',' || c == ':' || c == ' ' || c == '\t' || c == '\r' || c == '\n'
}

// skipValue returns the end of the value that begins at i.
func skipValue(raw []byte, i int) int {
	if i >= len(raw) {
		return len(raw)
	}
	switch raw[i] {
	case '"':
		return skipString(raw, i)
	case '{', '[':
		return skipNested(raw, i)
	case '}', ']':
		return i
	}
	for i < len(raw) && !isPunctuation(raw[i]) && raw[i] != '}' && raw[i] != ']' {
		i++
	}
	return i
}

func skipNested(raw []byte, i int) int {
	for depth := 0; i < len(raw); i++ {
		switch raw[i] {
		case '"':
			i = skipString(raw, i) - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return len(raw)
}

func skipString(raw []byte, i int) int {
	for i++; i < len(raw); i++ {
		n := bytes.IndexByte(raw[i:], '"')
		if n < 0 {
			break
		}
		if i += n; !isEscaped(raw, i) {
			return i + 1
		}
	}
	return len(raw)
}

// isEscaped says whether an odd number of backslashes stands before i.
func isEscaped(raw []byte, i int) bool {
	n := 0
	for n < i && raw[i-n-1] == '\\' {
		n++
	}
	return n%2 == 1
}

// unquote returns the text of a JSON string.
func unquote(raw []byte) string {
	if len(raw) >= 2 && bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1 : len(raw)-1])
	}
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return "" // not a string: see above
	}
	return text
}
