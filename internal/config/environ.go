package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

const (
	runnerPrefix = "RUNNER_"
	serverPrefix = "MCP_ENV_"
)

// entries calls yield with the name and value of every entry that has both.
func entries(environ []string, yield func(name, value string)) {
	for _, entry := range environ {
		if name, value, ok := strings.Cut(entry, "="); ok && name != "" {
			yield(name, value)
		}
	}
}

// lastValues returns every variable; of equal names the last counts.
func lastValues(environ []string) map[string]string {
	values := map[string]string{}
	entries(environ, func(name, value string) { values[name] = value })
	return values
}

// serverEnv returns the environment without what belongs to the runner. Of
// equal names the last counts.
func serverEnv(environ []string) []string {
	mine := map[string]bool{}
	for _, v := range Variables() {
		mine[v.Name] = !v.Server
	}
	var order []string
	values := map[string]string{}
	entries(environ, func(name, value string) {
		if mine[name] || strings.HasPrefix(name, runnerPrefix) || strings.HasPrefix(name, serverPrefix) {
			return
		}
		if _, ok := values[name]; !ok {
			order = append(order, name)
		}
		values[name] = value
	})
	for i, name := range order {
		order[i] = name + "=" + values[name]
	}
	return order
}

// passthrough returns the MCP_ENV_ variables without the prefix, and the names
// of those that cannot be passed on, both sorted by name.
func passthrough(values map[string]string) (env, skipped []string) {
	for _, name := range slices.Sorted(maps.Keys(values)) {
		stripped, ok := strings.CutPrefix(name, serverPrefix)
		switch {
		case !ok:
		case isIdentifier(stripped):
			env = append(env, stripped+"="+values[name])
		default:
			skipped = append(skipped, name)
		}
	}
	return env, skipped
}

// isIdentifier reports whether s is what POSIX (XBD 3.216) calls a name.
func isIdentifier(s string) bool {
	for i, r := range s {
		letter := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || r == '_'
		if digit := '0' <= r && r <= '9'; !letter && (!digit || i == 0) {
			return false
		}
	}
	return s != ""
}

// overruled returns a warning for every MCP_ENV_ variable that the server does
// not see because one of the runner's own variables sets the same name.
func overruled(values map[string]string) []string {
	var warnings []string
	for _, names := range [][2]string{
		{"HOST", "MCP_HOST"}, {"MCP_PATH", "MCP_PATH"}, {"MCP_TRANSPORT", "MCP_TRANSPORT"}, {"PORT", "PORT"},
	} {
		if _, ok := values[serverPrefix+names[0]]; ok {
			warnings = append(warnings, fmt.Sprintf("%s%s is overruled: the server gets %s from %s", serverPrefix, names[0], names[0], names[1]))
		}
	}
	return warnings
}

// unknown returns a warning for every RUNNER_ variable that means nothing.
func unknown(values map[string]string) []string {
	var known []string
	for _, v := range Variables() {
		if strings.HasPrefix(v.Name, runnerPrefix) {
			known = append(known, v.Name)
		}
	}
	var warnings []string
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if strings.HasPrefix(name, runnerPrefix) && !slices.Contains(known, name) {
			near, _ := Nearest(name, known)
			warnings = append(warnings, fmt.Sprintf("%s is not known and has no effect; the nearest known name is %s", showName(name), near))
		}
	}
	return warnings
}

// Nearest returns the known name that takes the fewest edits to reach, and how
// many; "" if none is known.
func Nearest(name string, known []string) (near string, edits int) {
	if len(known) == 0 {
		return "", 0
	}
	near = slices.MinFunc(known, func(a, b string) int { return distance(name, a) - distance(name, b) })
	return near, distance(name, near)
}

// distance returns the Levenshtein distance of two strings, counted in bytes.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			edits := diagonal
			if a[i] != b[j] {
				edits++
			}
			diagonal = row[j+1]
			row[j+1] = min(edits, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
