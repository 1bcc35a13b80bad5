package image

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Config is what a start needs of an image config: image spec, "config.md".
type Config struct {
	// Platform has empty fields where the config leaves them out.
	Platform     v1.Platform
	Env          []string
	WorkingDir   string
	Entrypoint   []string
	Cmd          []string
	User         string
	StopSignal   string
	ExposedPorts []string // Sorted.

	rootFS rootFS
}

// rootFS counts the diffIDs: the digests of the manifest are what is verified.
type rootFS struct {
	Type    string            `json:"type"`
	DiffIDs []json.RawMessage `json:"diff_ids"`
}

// ParseConfig reads what a start needs of an image config. Whatever else stands
// there, such as a date of creation that is none, stops nobody.
func ParseConfig(body []byte) (*Config, error) {
	var file struct {
		OS           string `json:"os"`
		Architecture string `json:"architecture"`
		Variant      string `json:"variant"`
		RootFS       rootFS `json:"rootfs"`
		Config       struct {
			Env          []string
			WorkingDir   string
			Entrypoint   words
			Cmd          words
			User         string
			StopSignal   string
			ExposedPorts ports
		} `json:"config"`
	}
	if err := json.Unmarshal(body, &file); err != nil {
		return nil, err
	}
	c := file.Config
	return &Config{
		Platform:     normalized(v1.Platform{OS: file.OS, Architecture: file.Architecture, Variant: file.Variant}),
		Env:          c.Env,
		WorkingDir:   c.WorkingDir,
		Entrypoint:   c.Entrypoint,
		Cmd:          c.Cmd,
		User:         c.User,
		StopSignal:   c.StopSignal,
		ExposedPorts: c.ExposedPorts,
		rootFS:       file.RootFS,
	}, nil
}

// words are a command. One string is a list of that one word, as Docker's
// strslice reads it.
type words []string

// UnmarshalJSON reads a list or a string.
func (w *words) UnmarshalJSON(value []byte) error {
	var word string
	if string(value) != "null" && json.Unmarshal(value, &word) == nil {
		*w = words{word}
		return nil
	}
	return json.Unmarshal(value, (*[]string)(w))
}

// ports are the keys of an object whose values say nothing. They only serve for
// warnings, so that anything else is no ports and no error.
type ports []string

// UnmarshalJSON takes any value.
func (p *ports) UnmarshalJSON(value []byte) error {
	var set map[string]json.RawMessage
	if json.Unmarshal(value, &set) == nil {
		*p = slices.Sorted(maps.Keys(set))
	}
	return nil
}

// check holds the config against the manifest: image spec, "config.md", rootfs.
func (r rootFS) check(layers int) error {
	if r.Type != "layers" {
		return fmt.Errorf("the image config has a rootfs of type %q, not \"layers\"", Abbreviate(r.Type))
	}
	if len(r.DiffIDs) != layers {
		return fmt.Errorf("the image config lists %d diffIDs for the %d layers of the manifest", len(r.DiffIDs), layers)
	}
	return nil
}
