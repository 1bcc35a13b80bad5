package jsonrpc

import (
	"bytes"
	"encoding/json"
	"iter"
	"strings"
)

// The functions of this file walk over JSON whose validity has been checked.
// On anything else they find nonsense, but they end and stay inside of it.

// find looks for members of the object at a place, by their names, and notes
// where their values are.
func find(raw []byte, object Span, names []string, values []Span) error {
	for name, value := range members(raw, object) {
		if err := note(raw[name.Start:name.End], value, names, values); err != nil {
			return err
		}
	}
	return nil
}

// note notes where the value of a member is, if it is looked for.
//
// A name that stands there twice is refused, as is one that differs only in
// case: decoders disagree about which of them counts, and what we read must be
// what the other side reads.
func note(quoted []byte, value Span, names []string, values []Span) error {
	name := nameIn(quoted)
	for i, wanted := range names {
		if string(name) != wanted {
			continue
		}
		if !values[i].Absent() {
			return invalid("the message has %q twice", wanted)
		}
		values[i] = value
		return nil
	}
	for _, wanted := range names {
		if strings.EqualFold(string(name), wanted) {
			return invalid("the message has %q, which is written %q", name, wanted)
		}
	}
	return nil
}

// nameIn returns a name without its quotes and escapes; empty if it is cut off.
func nameIn(quoted []byte) []byte {
	if len(quoted) < 2 || bytes.IndexByte(quoted, '\\') >= 0 {
		return []byte(unquote(quoted))
	}
	return quoted[1 : len(quoted)-1]
}

// members yields the members of the object at a place: where their names, with
// the quotes, and their values are.
func members(raw []byte, object Span) iter.Seq2[Span, Span] {
	raw = raw[:object.End]
	return func(yield func(name, value Span) bool) {
		for i := skipPunctuation(raw, object.Start+1); i < len(raw) && raw[i] == '"'; {
			nameEnd := skipValue(raw, i)
			value := skipPunctuation(raw, nameEnd)
			end := skipValue(raw, value)
			if end == value || !yield(Span{i, nameEnd}, Span{value, end}) {
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

// fewElements says whether an array has no more elements than a batch may have.
func fewElements(array []byte) bool {
	n := 0
	for range elements(array, Span{0, len(array)}) {
		if n++; n > MaxBatch {
			return false
		}
	}
	return true
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
