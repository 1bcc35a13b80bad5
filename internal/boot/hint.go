package boot

import "errors"

// HintOf returns what an error advises the operator to do, empty if nothing.
func HintOf(err error) string {
	if hinted, ok := errors.AsType[interface {
		error
		Hint() string
	}](err); ok {
		return hinted.Hint()
	}
	return ""
}
