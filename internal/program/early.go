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
// Its error is an *Error. What it lets pass, Find looks at.
func Early(root *rootfs.Root, plan launch.Plan, taken Taken) error {
	s := search{root: root, plan: plan, taken: taken}
	if fault := s.early(plan.Argv[0]); fault != nil {
		return s.explain(fault)
	}
	return nil
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
