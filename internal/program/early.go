package program

import (
	"fmt"
	"path"
	"strings"

	"github.com/drengskapur/fastmcp-runner/internal/launch"
	"github.com/drengskapur/fastmcp-runner/internal/rootfs"
)

// Early says before a layer is fetched that a program cannot start: when
// neither the root has it already nor the allowlist lets the image bring it.
// Its error is an *Error. What it lets pass, Find looks at; but the program that
// a shell is asked to start only the shell would look for, after the pull, and
// would say no more than "not found".
func Early(root *rootfs.Root, plan launch.Plan, taken Taken) error {
	s := search{root: root, plan: plan, taken: taken}
	for _, program := range []string{plan.Argv[0], s.named()} {
		if fault := s.early(program); fault != nil {
			return s.explain(program, fault)
		}
	}
	return nil
}

// Doubts says before a layer is fetched what may keep a program from working
// that can start: that the image is built on a minor version of Python which
// this container has not. It may need nothing that was installed for that one,
// or bring one of its own, so that this is no error.
func Doubts(root *rootfs.Root, plan launch.Plan, taken Taken) []string {
	s := search{root: root, plan: plan, taken: taken}
	minor, pythons := s.imageMinor(), findPythons(root)
	if _, fits := ofMinor(pythons, minor); fits || minor < 0 || len(pythons) == 0 || taken.Allows == nil {
		return nil
	}
	return []string{fmt.Sprintf("the image is built on Python 3.%d, and this container has %s: what is installed for 3.%[1]d is not found "+
		"or does not start here, unless the image keeps a Python 3.%[1]d below /app; %[3]s", minor, versions(pythons), s.whole())}
}

func (s search) early(command string) *fault {
	if strings.Contains(command, "/") {
		p := s.absolute(command)
		if s.mayComeToBe(p) {
			return nil
		}
		return &fault{
			cause: show(path.Clean(p)) + " is outside the allowlist, and this container has no such file",
			code:  codeNotFound,
			lacks: p, outside: true,
		}
	}
	text, dirs := s.searchPath()
	for _, dir := range dirs {
		if s.mayComeToBe(dir + "/" + command) {
			return nil
		}
	}
	return &fault{
		cause: fmt.Sprintf("not found in PATH=%q, and the directories in it are outside the allowlist", text),
		code:  codeNotFound,
		lacks: command, outside: true,
	}
}

// mayComeToBe reports whether the image may bring a path or the root has it.
// A path that cannot even be looked at is left to Find.
func (s search) mayComeToBe(p string) bool {
	resolved, err := s.root.Resolve(p)
	return err != nil || resolved.Exists || s.takes(p) || s.takes(resolved.Path)
}
