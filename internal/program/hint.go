package program

import (
	"fmt"
	"path"
	"strings"
)

// missingHint says what can be done when a program is not there.
func (s search) missingHint(p string) string {
	name := path.Base(p)
	switch {
	case pythonName.MatchString(name):
		return s.pythonHint()
	case s.allowed == nil:
		return "check the image's ENTRYPOINT and CMD, or name another command by RUNNER_ENTRYPOINT"
	case strings.HasSuffix(name, ".sh"):
		return fmt.Sprintf("name the program that %s starts by RUNNER_ENTRYPOINT, or put the script below /app in the image", show(name))
	}
	return fmt.Sprintf("use an image that has %s in the allowlist, such as below /app, a base for this container that has it, "+
		"RUNNER_ALLOW_PATHS for where the image keeps it, or another command by RUNNER_ENTRYPOINT", show(name))
}

func (s search) pythonHint() string {
	pythons := findPythons(s.root)
	versions := make([]string, 0, len(pythons))
	for _, python := range pythons {
		versions = append(versions, python.version())
	}
	if len(versions) == 0 {
		return "this container has no Python: use a base for it that has one, or an image whose Python lies in the allowlist, such as below /app"
	}
	return fmt.Sprintf("this container has Python %s: build the image for it, "+
		"or put the image's own Python in the allowlist, such as below /app", strings.Join(versions, " and "))
}
