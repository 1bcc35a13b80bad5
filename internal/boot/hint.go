package boot

import "errors"

// HintOf returns what an error advises the operator to do, empty if nothing.
func HintOf(err error) string {
	var hinted interface {
		error
		Hint() string
	}
	if errors.As(err, &hinted) {
		return hinted.Hint()
	}
	return ""
}
