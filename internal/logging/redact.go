package logging

import (
	"cmp"
	"context"
	"encoding/json"
	"log/slog"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	redacted       = "[redacted]"
	minSecretRunes = 4
)

// redactor replaces secrets in text.
type redactor struct{ replacer *strings.Replacer }

// newRedactor returns a redactor of the secrets that are long enough; nil if
// there are none.
func newRedactor(secrets []string) *redactor {
	var forms []string
	for _, secret := range secrets {
		if utf8.RuneCountInString(secret) >= minSecretRunes {
			forms = append(forms, formsOf(secret)...)
		}
	}
	if forms == nil {
		return nil
	}
	// The replacer takes the first that fits: the longest has to, lest the
	// rest of it stays behind a shorter one that it begins with.
	slices.SortFunc(forms, func(a, b string) int {
		return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b))
	})
	var pairs []string
	for _, form := range slices.Compact(forms) {
		pairs = append(pairs, form, redacted)
	}
	return &redactor{strings.NewReplacer(pairs...)}
}

// formsOf returns a secret as it is and as it looks inside of messages that
// quote or escape it.
func formsOf(secret string) []string {
	quoted := strconv.Quote(secret)
	return []string{secret, quoted[1 : len(quoted)-1], url.QueryEscape(secret), url.PathEscape(secret)}
}

// text returns s without secrets.
func (r *redactor) text(s string) string { return r.replacer.Replace(s) }

// attrs returns attributes whose values hold no secret.
func (r *redactor) attrs(attrs []slog.Attr) []slog.Attr {
	clean := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		clean[i] = slog.Attr{Key: a.Key, Value: r.value(a.Value.Resolve())}
	}
	return clean
}

// value returns v without secrets: as it is if it holds none.
func (r *redactor) value(v slog.Value) slog.Value {
	switch v.Kind() {
	case slog.KindString:
		return slog.StringValue(r.text(v.String()))
	case slog.KindGroup:
		return slog.GroupValue(r.attrs(v.Group())...)
	case slog.KindAny:
		return r.printed(v)
	default:
		return v // numbers and times
	}
}

// printed returns a value that only printing turns into text: as that text if
// it, in either format, holds a secret.
func (r *redactor) printed(v slog.Value) slog.Value {
	text := valueText(v)
	if clean := r.text(text); clean != text {
		return slog.StringValue(clean)
	}
	var encoded strings.Builder
	encoder := json.NewEncoder(&encoded)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v.Any()); err != nil {
		return slog.StringValue(text) // it has no JSON; the text has no secret
	}
	if r.text(encoded.String()) != encoded.String() {
		return slog.StringValue(redacted)
	}
	return v
}

// redactingHandler hands records on without secrets.
type redactingHandler struct {
	next     slog.Handler
	redactor *redactor
}

// Enabled asks the next handler.
func (h *redactingHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level)
}

// Handle hands on a copy of the record.
func (h *redactingHandler) Handle(ctx context.Context, r slog.Record) error {
	clean := slog.NewRecord(r.Time, r.Level, h.redactor.text(r.Message), r.PC)
	r.Attrs(func(a slog.Attr) bool {
		clean.AddAttrs(h.redactor.attrs([]slog.Attr{a})...)
		return true
	})
	return h.next.Handle(ctx, clean)
}

// WithAttrs hands on clean attributes.
func (h *redactingHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &redactingHandler{next: h.next.WithAttrs(h.redactor.attrs(attrs)), redactor: h.redactor}
}

// WithGroup hands on the name.
func (h *redactingHandler) WithGroup(name string) slog.Handler {
	return &redactingHandler{next: h.next.WithGroup(name), redactor: h.redactor}
}
