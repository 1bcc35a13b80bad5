package logging

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// textHandler writes lines for people.
type textHandler struct {
	out    *output
	level  slog.Level
	attrs  []byte // those of WithAttrs, as they are printed
	prefix string // of the keys to come: the open groups, each with a dot
}

// output is shared by a handler and all that are derived from it, so that
// their lines do not mix.
type output struct {
	mu sync.Mutex
	w  io.Writer
}

func newTextHandler(w io.Writer, level slog.Level) *textHandler {
	return &textHandler{out: &output{w: w}, level: level}
}

// Enabled reports whether the level is logged.
func (h *textHandler) Enabled(_ context.Context, level slog.Level) bool { return level >= h.level }

// Handle writes one line.
func (h *textHandler) Handle(_ context.Context, r slog.Record) error {
	var line []byte
	if !r.Time.IsZero() {
		line = append(line, timestamp(r.Time)+" "...)
	}
	line = fmt.Appendf(line, "%-7s ", "["+r.Level.String()+"]")
	line = appendVisible(line, r.Message)
	line = append(line, h.attrs...)
	r.Attrs(func(a slog.Attr) bool {
		line = appendAttr(line, h.prefix, a)
		return true
	})
	line = append(line, '\n')
	h.out.mu.Lock()
	defer h.out.mu.Unlock()
	_, err := h.out.w.Write(line)
	return err
}

// WithAttrs returns a handler that adds the attributes to every line.
func (h *textHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	derived := *h
	derived.attrs = slices.Clip(h.attrs) // so that appending copies
	for _, a := range attrs {
		derived.attrs = appendAttr(derived.attrs, h.prefix, a)
	}
	return &derived
}

// WithGroup returns a handler that puts the name before every key to come.
func (h *textHandler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	derived := *h
	derived.prefix += name + "."
	return &derived
}

// appendAttr appends " key=value", for a group once for each of its members.
func appendAttr(line []byte, prefix string, a slog.Attr) []byte {
	value := a.Value.Resolve()
	if value.Kind() == slog.KindGroup {
		if a.Key != "" {
			prefix += a.Key + "."
		}
		for _, member := range value.Group() {
			line = appendAttr(line, prefix, member)
		}
		return line
	}
	if a.Equal(slog.Attr{}) {
		return line
	}
	line = append(line, ' ')
	line = appendQuoted(line, prefix+a.Key)
	line = append(line, '=')
	return appendQuoted(line, valueText(value))
}

// valueText returns a value as people read it.
func valueText(v slog.Value) string {
	switch v.Kind() {
	case slog.KindTime:
		return v.Time().Format(time.RFC3339Nano)
	case slog.KindAny:
		if text, ok := v.Any().([]byte); ok {
			return string(text)
		}
		return fmt.Sprintf("%+v", v.Any())
	default:
		return v.String()
	}
}

// appendQuoted appends s, in quotes if it could be misread without.
func appendQuoted(line []byte, s string) []byte {
	if s == "" || strings.ContainsFunc(s, misread) {
		return strconv.AppendQuote(line, s)
	}
	return append(line, s...)
}

func misread(r rune) bool {
	return r == ' ' || r == '=' || r == '"' || r == utf8.RuneError || !strconv.IsPrint(r)
}

// appendVisible appends s without quotes, with what cannot be printed, a line
// break above all, in its escaped form.
func appendVisible(line []byte, s string) []byte {
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		if strconv.IsPrint(r) && (r != utf8.RuneError || size > 1) {
			line = append(line, s[:size]...)
		} else {
			quoted := strconv.Quote(s[:size])
			line = append(line, quoted[1:len(quoted)-1]...)
		}
		s = s[size:]
	}
	return line
}
