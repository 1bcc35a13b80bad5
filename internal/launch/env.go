package launch

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// defaultPath is the search path when neither the container, the image nor
// the operator sets one; the value that container engines use.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// environment is a set of variables while the sources are laid over each
// other.
type environment struct {
	values   map[string]string
	secrets  map[string]bool
	warnings []string
}

// mergeEnv lays the sources of the environment over each other, lowest first.
func mergeEnv(img Image, set Settings) (environment, error) {
	env := environment{values: map[string]string{"PATH": defaultPath}, secrets: map[string]bool{}}
	for _, entry := range set.Environ {
		env.set(entry)
	}
	// The container's HOME is that of the runner's user, often root's: it
	// says nothing about the user that the server runs as.
	env.values["HOME"] = ""
	for _, entry := range img.Env {
		if !env.set(entry) {
			env.warnings = append(env.warnings, fmt.Sprintf("an entry of the image's Env is skipped: %q is not NAME=value", shorten(entry)))
		}
	}
	if env.values["HOME"] == "" {
		env.values["HOME"] = homeOf(set)
	}
	for _, entry := range set.Passthrough {
		if !env.set(entry) {
			return env, errors.New("a passthrough variable is not NAME=value") // its text may be secret
		}
		name, _, _ := strings.Cut(entry, "=")
		env.secrets[name] = true
	}
	env.override("PORT", strconv.Itoa(set.Port))
	env.override("HOST", set.Host)
	env.override("MCP_TRANSPORT", set.Transport)
	env.override("MCP_PATH", set.Path)
	return env, nil
}

// set takes one NAME=value entry, unless it is none.
func (e *environment) set(entry string) bool {
	name, value, ok := strings.Cut(entry, "=")
	if !ok || name == "" {
		return false
	}
	e.values[name] = value
	return true
}

// override sets one of the names that are the runner's to decide. Its value is
// no secret, whatever the operator passed under that name.
func (e *environment) override(name, value string) {
	delete(e.secrets, name)
	e.values[name] = value
}

func (e *environment) entries() []string {
	entries := make([]string, 0, len(e.values))
	for _, name := range slices.Sorted(maps.Keys(e.values)) {
		entries = append(entries, name+"="+e.values[name])
	}
	return entries
}

func (e *environment) secret() []string {
	return slices.Sorted(maps.Keys(e.secrets))
}

func homeOf(set Settings) string {
	if set.Home == "" {
		return "/"
	}
	return set.Home
}

// shorten keeps a text from outside from filling the log.
func shorten(text string) string {
	const most = 80
	if len(text) > most {
		return text[:most] + "..."
	}
	return text
}
