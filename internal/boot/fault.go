package boot

import (
	"errors"

	"github.com/drengskapur/fastmcp-runner/internal/registry"
)

// ConfigError says that a setting is wrong: one that could be judged only when
// it was used.
type ConfigError struct{ Err error }

func (e *ConfigError) Error() string { return e.Err.Error() }

// Unwrap returns what is wrong.
func (e *ConfigError) Unwrap() error { return e.Err }

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

// OfRegistry reports whether it was a registry that failed.
func OfRegistry(err error) bool {
	_, ok := errors.AsType[*registry.Error](err)
	return ok
}
