package config

import "github.com/drengskapur/fastmcp-runner/internal/ids"

// user is a user and a group in numbers.
type user struct{ ids.User }

func (u *user) UnmarshalText(text []byte) (err error) {
	u.User, err = ids.Parse(string(text))
	return err
}
