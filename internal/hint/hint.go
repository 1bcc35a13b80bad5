// Package hint carries beside an error what an operator can do about it. It does
// not know what went wrong.
package hint

import "errors"

// Error is an error with a hint. Its text is that of the error alone.
type Error struct {
	err  error
	hint string
}

// Add gives an error a hint, which counts before those that the error has
// already. Without a hint, and without an error, err stays as it is.
func Add(err error, hint string) error {
	if err == nil || hint == "" {
		return err
	}
	return &Error{err: err, hint: hint}
}

// Of returns the hint of an error; empty if it has none.
func Of(err error) string {
	if hinted, ok := errors.AsType[*Error](err); ok {
		return hinted.hint
	}
	return ""
}

func (e *Error) Error() string { return e.err.Error() }

// Unwrap returns the error without its hint.
func (e *Error) Unwrap() error { return e.err }
