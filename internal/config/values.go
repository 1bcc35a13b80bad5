package config

import (
	"errors"
	"path"
	"strconv"
	"strings"

	"github.com/drengskapur/fastmcp-runner/internal/allowlist"
)

// filename names a file; whether it can be read shows when it is.
type filename string

// absPath is an absolute file path.
type absPath string

func (a *absPath) UnmarshalText(text []byte) error {
	if !path.IsAbs(string(text)) {
		return errors.New("not an absolute path: it begins with /")
	}
	*a = absPath(text)
	return nil
}

// commaList is a list whose items commas separate; white space around an item
// and empty items mean nothing.
type commaList []string

func (c *commaList) UnmarshalText(text []byte) error {
	*c = nil
	for item := range strings.SplitSeq(string(text), ",") {
		if item = strings.TrimSpace(item); item != "" {
			*c = append(*c, item)
		}
	}
	return nil
}

// allow returns the allowlist with the paths of RUNNER_ALLOW_PATHS.
func (p *parser) allow(paths []string) allowlist.List {
	list, err := allowlist.New(paths)
	if err != nil {
		p.wrong("RUNNER_ALLOW_PATHS", err.Error())
	}
	return list
}

// count is a positive number.
type count int64

func (c *count) UnmarshalText(text []byte) error {
	n, err := strconv.ParseUint(string(text), 10, 63)
	if err != nil || n == 0 {
		return errors.New("not a positive whole number")
	}
	*c = count(n)
	return nil
}
