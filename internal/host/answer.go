package host

import "fmt"

// Verdict is what is known about a question. Its zero value says that nothing
// is.
type Verdict int

// The verdicts.
const (
	Unknown Verdict = iota
	No
	Yes
)

// String returns "unknown", "no" or "yes".
func (v Verdict) String() string {
	switch v {
	case No:
		return "no"
	case Yes:
		return "yes"
	default:
		return "unknown"
	}
}

// MarshalText returns the verdict as a word.
func (v Verdict) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (v *Verdict) UnmarshalText(text []byte) error {
	return readWord(v, text, Unknown, No, Yes)
}

// Answer is what the host said when it was asked for something.
type Answer struct {
	Verdict Verdict `json:"verdict"`
	// Cause says why not, or why that is unknown: where there is one, the
	// name of the error, such as "EPERM". A yes has none.
	Cause string `json:"cause,omitempty"`
}

// String returns the verdict with its cause, such as "no (EPERM)".
func (a Answer) String() string {
	if a.Cause == "" {
		return a.Verdict.String()
	}
	return fmt.Sprintf("%s (%s)", a.Verdict, a.Cause)
}

// readWord sets the value to the one of the choices that text names.
func readWord[T fmt.Stringer](value *T, text []byte, choices ...T) error {
	for _, choice := range choices {
		if choice.String() == string(text) {
			*value = choice
			return nil
		}
	}
	return fmt.Errorf("%q is none of %q", text, choices)
}
