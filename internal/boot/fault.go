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

// OfRegistry reports whether it was a registry that failed.
func OfRegistry(err error) bool {
	_, ok := errors.AsType[*registry.Error](err)
	return ok
}
