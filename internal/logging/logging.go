// Package logging makes the logger of the runner: one line a record, as text
// or as JSON, kept clean of known secrets. It knows nothing of what is logged
// or why.
package logging

import (
	"io"
	"log/slog"
	"strings"
	"time"
)

// Format is the form of a log line.
type Format string

// The forms of a log line.
const (
	// Text is for people: 2024-01-15T10:30:00Z [INFO]  FastMCP Runner starting.
	Text Format = "text"
	// JSON is for programs:
	// {"ts":"2024-01-15T10:30:00Z","level":"info","msg":"FastMCP Runner starting"}.
	JSON Format = "json"
)

// Options says how to log. The zero Options log information as text.
type Options struct {
	// Level is the least level that is logged.
	Level slog.Level
	// Format is the form of a line; empty means Text.
	Format Format
	// Secrets are values that no line shows. It is the last line of defence,
	// for text that comes from outside; ours does not hold them. A secret of
	// fewer than 4 characters is let through: it would black out common words.
	Secrets []string
}

// New returns a logger that writes every record to w as one line, by one
// call of Write.
func New(w io.Writer, opts Options) *slog.Logger {
	var h slog.Handler
	if opts.Format == JSON {
		h = slog.NewJSONHandler(w, &slog.HandlerOptions{Level: opts.Level, ReplaceAttr: rename})
	} else {
		h = newTextHandler(w, opts.Level)
	}
	if r := newRedactor(opts.Secrets); r != nil {
		h = &redactingHandler{next: h, redactor: r}
	}
	return slog.New(h)
}

// rename gives slog's own attributes the names and forms that we promise. An
// attribute of the caller with one of their names has another type.
func rename(groups []string, a slog.Attr) slog.Attr {
	if len(groups) > 0 {
		return a
	}
	switch value := a.Value.Any().(type) {
	case time.Time:
		if a.Key == slog.TimeKey {
			return slog.String("ts", timestamp(value))
		}
	case slog.Level:
		if a.Key == slog.LevelKey {
			return slog.String(slog.LevelKey, strings.ToLower(value.String()))
		}
	}
	return a
}

// timestamp returns a time in UTC, to the second.
func timestamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }
