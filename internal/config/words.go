package config

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/kballard/go-shellquote"
)

// args is a list of arguments. It is nil if there is none, and empty if the
// list was given as "[]".
type args []string

func (a *args) UnmarshalText(text []byte) (err error) {
	*a, err = splitWords(string(text))
	return err
}

// programArgs are args of which the first names a program.
type programArgs []string

func (p *programArgs) UnmarshalText(text []byte) error {
	words, err := splitWords(string(text))
	if err != nil {
		return err
	}
	if len(words) == 0 || words[0] == "" {
		return errors.New("names no program")
	}
	*p = words
	return nil
}

// splitWords reads a JSON array of strings if s begins with "[", and words
// quoted as in a shell otherwise.
func splitWords(s string) ([]string, error) {
	s = strings.TrimSpace(s)
	split := splitShell
	if strings.HasPrefix(s, "[") {
		split = splitJSON
	}
	words, err := split(s)
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(words, func(w string) bool { return strings.Contains(w, "\x00") }) {
		return nil, errors.New("an argument holds a NUL byte")
	}
	return words, nil
}

// splitJSON reads an array of strings. The pointers tell null from "".
func splitJSON(s string) ([]string, error) {
	var list []*string
	if err := json.Unmarshal([]byte(s), &list); err != nil || slices.Contains(list, nil) {
		return nil, errors.New(`begins with [ but is not a JSON array of strings, such as ["python", "-m", "app"]`)
	}
	words := make([]string, len(list))
	for i := range list {
		words[i] = *list[i]
	}
	return words, nil
}

// splitShell reads words as sh(1) does, without expanding anything.
func splitShell(s string) ([]string, error) {
	words, err := shellquote.Split(s)
	if err != nil {
		return nil, errors.New("a quote or backslash is left open")
	}
	if len(words) == 0 {
		return nil, errors.New("holds no word: for an empty list write []")
	}
	return words, nil
}
