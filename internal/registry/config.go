package registry

import (
	"encoding/json"
	"maps"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// ImageConfig is what a start needs of an image config: image spec, "config.md".
type ImageConfig struct {
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
func ParseConfig(body []byte) (*ImageConfig, error) {
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
	return &ImageConfig{
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
