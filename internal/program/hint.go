package program

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path"
	"strings"
)

// hintForCommand is for a program that the image itself lacks: what names it is
// wrong.
const hintForCommand = "check the image's ENTRYPOINT, CMD and WORKDIR, or RUNNER_ENTRYPOINT and RUNNER_CMD if they are set"

// hintForContent is for what the image lacks and only its own files name.
const hintForContent = "the image itself lacks it: check how it was built"

// hintFor says what can be done about a fault.
func (s search) hintFor(f *fault) string {
	switch {
	case f.outside:
		return s.missingHint(f.lacks)
	case f.lacks != "" && s.taken.Allows == nil && s.fitsRunner(path.Base(f.lacks)):
		return "the image has no Python of its own: for one that is built for the runner's, " + s.taken.Instead()
	case f.lacks != "" && f.hint == "":
		return hintForCommand
	}
	return f.hint
}

// runnerMinor is the minor version of the Python in the runner's usual image.
const runnerMinor = 12

// fitsRunner reports whether a name is that of a Python which the runner's usual
// image has.
func (s search) fitsRunner(name string) bool {
	if !pythonName.MatchString(name) {
		return false
	}
	minor := minorOf(name)
	if minor < 0 {
		minor = s.imageMinor()
	}
	return minor < 0 || minor == runnerMinor
}

// whole is how the whole image would be taken here.
func (s search) whole() string { return "take the whole image by " + s.taken.Instead() }

// missingHint says what can be done when a program is not there, because it is
// not taken from the image and this container has none.
func (s search) missingHint(p string) string {
	name := path.Base(p)
	switch {
	case pythonName.MatchString(name):
		return s.pythonHint(name)
	case strings.HasSuffix(name, ".sh"):
		return fmt.Sprintf("%s, name the program that %s starts by RUNNER_ENTRYPOINT, or put the script below /app in the image", s.whole(), show(name))
	}
	hint := s.moduleHint(name) + fmt.Sprintf("%s, use a base for this container that has %s, or put it below /app in the image", s.whole(), show(name))
	if s.taken.Anywhere {
		hint += ", or name where the image keeps it in RUNNER_ALLOW_PATHS"
	}
	return hint
}

// moduleHint is for the scripts that pip puts into /usr/local/bin, which are not
// taken while their packages are. Before the extraction only the variable that
// the official Python images set tells that the image has any.
func (s search) moduleHint(name string) string {
	python, ok := ofMinor(findPythons(s.root), s.imageMinor())
	if !ok || name != path.Base(s.named()) {
		return ""
	}
	argv := s.with(python.path, "-m", strings.ReplaceAll(name, "-", "_"))
	return fmt.Sprintf("if pip installed %s, start its module by RUNNER_ENTRYPOINT=%s, or install it into a virtual environment in /app; otherwise ",
		show(name), words(argv))
}

// pythonHint is for a missing interpreter of the given name.
func (s search) pythonHint(name string) string {
	minor := minorOf(name)
	if minor < 0 {
		minor = s.imageMinor()
	}
	pythons := findPythons(s.root)
	if python, ok := ofMinor(pythons, minor); ok {
		return fmt.Sprintf("this container has Python %s as %s: RUNNER_ENTRYPOINT=%s", python.version(), python.path, words(s.argvWith(python)))
	}
	if len(pythons) == 0 {
		return "this container has no Python: " + s.whole() + ", use a base for this container that has one, " +
			"or an image whose Python lies in the allowlist, such as below /app"
	}
	if minor < 0 {
		python := pythons[len(pythons)-1]
		return fmt.Sprintf("this container has Python %s as %s: if the image fits it, RUNNER_ENTRYPOINT=%s; otherwise %s",
			python.version(), python.path, words(s.argvWith(python)), s.whole())
	}
	return fmt.Sprintf("this container has Python %s: build the image for it, %s, "+
		"or put the image's own Python in the allowlist, such as below /app", versions(pythons), s.whole())
}

// argvWith is the plan's command run by an interpreter of this container: in the
// place of another one, or of the one that a script names in its first line.
func (s search) argvWith(python python) []string {
	program := s.named()
	if pythonName.MatchString(path.Base(program)) {
		return s.with(python.path)
	}
	return s.with(python.path, s.locate(program))
}

// imageMinor returns the minor version of the image's Python if it is built on
// an official Python image, which says it in a variable; otherwise -1.
func (s search) imageMinor() int {
	version, _ := s.plan.Lookup("PYTHON_VERSION")
	parts := strings.SplitN(version, ".", 3)
	if len(parts) < 2 {
		return -1
	}
	return minorOf("python" + parts[0] + "." + parts[1])
}

// words prints a command in the form that RUNNER_ENTRYPOINT takes unchanged.
func words(argv []string) string {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(argv); err != nil {
		panic("internal error: " + err.Error()) // strings always encode
	}
	return strings.TrimSpace(text.String())
}
