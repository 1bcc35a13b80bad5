package page

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// maxTexts bounds the texts of one server that are shown, in bytes.
	maxTexts = 256 << 10
	// maxSchemas bounds what is parsed of the schemas of one server, in bytes.
	maxSchemas = 16 << 20
)

// budget is what may still be spent on one server: each text of it is bounded,
// but it may have many tools with many arguments.
type budget struct {
	texts   int // bytes to show
	schemas int // bytes to parse
}

// take returns a text as it is shown, cut to limit bytes and to what the
// budget still has.
func (b *budget) take(text string, limit int) string {
	text = cut(strings.TrimSpace(text), max(0, min(limit, b.texts)))
	b.texts -= len(text)
	return text
}

// cut returns a text that is clean and has no more than about limit bytes; it
// ends with an ellipsis if it was longer.
func cut(text string, limit int) string {
	if len(text) <= limit {
		return clean(text)
	}
	end := limit
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return clean(text[:end]) + "…"
}

// clean makes visible what would hide or turn around other text: controls,
// bidirectional formatting and tag characters become U+FFFD, as do bytes that
// are no UTF-8.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case r == '\r':
			return -1
		case unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r), r == '\ufeff', r >= 0xe0000 && r <= 0xe007f:
			return utf8.RuneError
		}
		return r
	}, strings.ToValidUTF8(text, string(utf8.RuneError)))
}

// amount returns how much of the layers was read, such as "12.3 of 40.1 MB",
// in powers of 1000 like the sizes that registries show.
func amount(read, total int64) string {
	units := []string{"B", "kB", "MB", "GB", "TB"}
	scale, unit := 1.0, 0
	for float64(total)/scale >= 1000 && unit < len(units)-1 {
		scale *= 1000
		unit++
	}
	digits := 1
	if unit == 0 {
		digits = 0
	}
	return fmt.Sprintf("%.*f of %.*f %s", digits, float64(read)/scale, digits, float64(total)/scale, units[unit])
}

// slug makes a name one that may stand in a configuration and in a shell
// command: lower-case letters and digits with single dashes between them.
func slug(name string) string {
	words := strings.FieldsFunc(strings.ToLower(name), func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9')
	})
	text := strings.Join(words, "-")
	return strings.Trim(text[:min(len(text), 40)], "-")
}
