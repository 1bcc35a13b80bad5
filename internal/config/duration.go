package config

import (
	"errors"
	"time"
)

// duration is a length of time in Go's form.
type duration time.Duration

func (d *duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	if err != nil || parsed <= 0 {
		return errors.New("not a length of time, such as 4s, 500ms or 1m30s")
	}
	*d = duration(parsed)
	return nil
}
