package hint_test

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/drengskapur/fastmcp-runner/internal/hint"
)

func TestAdd(t *testing.T) {
	t.Parallel()
	inner := hint.Add(io.EOF, "read less")
	for _, test := range []struct {
		name       string
		err        error
		text, hint string
	}{
		{"the text is the error's", inner, "EOF", "read less"},
		{"an error around it keeps the hint", fmt.Errorf("cannot read: %w", inner), "cannot read: EOF", "read less"},
		{"the outer hint counts", hint.Add(inner, "read more"), "EOF", "read more"},
		{"no hint leaves the inner one", hint.Add(inner, ""), "EOF", "read less"},
		{"no hint at all", hint.Add(io.EOF, ""), "EOF", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := hint.Of(test.err); test.err.Error() != test.text || got != test.hint {
				t.Errorf("%q with the hint %q, want %q with %q", test.err, got, test.text, test.hint)
			}
			if !errors.Is(test.err, io.EOF) {
				t.Error("the cause is lost")
			}
		})
	}
	if err := hint.Add(nil, "nothing to do"); err != nil || hint.Of(nil) != "" {
		t.Errorf("Add(nil) = %v", err)
	}
}
