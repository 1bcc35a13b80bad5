// Package secret holds values that no message may show. It does not know what
// they open.
package secret

import (
	"fmt"
	"io"
	"log/slog"
	"unique"
)

// Redacted is what stands in the place of a secret wherever one would be shown.
const Redacted = "[redacted]"

// Value is a text that no message, log or document shows. Only Reveal gives it
// away. The zero Value is the empty text; equal texts are equal Values.
type Value struct {
	// A handle, because fmt does not call the methods of unexported fields: of a
	// struct that holds a Value it prints an address, not the text.
	text unique.Handle[string]
}

// New hides a text.
func New(text string) Value {
	if text == "" {
		return Value{}
	}
	return Value{unique.Make(text)}
}

// Reveal returns the text.
func (v Value) Reveal() string {
	if v.Empty() {
		return ""
	}
	return v.text.Value()
}

// Empty reports whether there is nothing to hide.
func (v Value) Empty() bool { return v == Value{} }

// String returns "[redacted]".
func (Value) String() string { return Redacted }

// GoString returns "[redacted]".
func (Value) GoString() string { return Redacted }

// Format prints "[redacted]" whatever the verb.
func (Value) Format(state fmt.State, _ rune) {
	// A Formatter has no way to report an error; the state records it.
	_, _ = io.WriteString(state, Redacted)
}

// LogValue returns "[redacted]".
func (Value) LogValue() slog.Value { return slog.StringValue(Redacted) }

// MarshalText returns "[redacted]".
func (Value) MarshalText() ([]byte, error) { return []byte(Redacted), nil }

// UnmarshalText hides what a document holds.
func (v *Value) UnmarshalText(text []byte) error {
	*v = New(string(text))
	return nil
}
