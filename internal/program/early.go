package program

import (
	"fmt"
	"path"
	"regexp"
	"slices"
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
		return s.explain(plan.Argv[0], fault)
	}
	if s.taken.Allows == nil {
		return nil
	}
	if script, ok := shellForm(plan.Argv); ok {
		return s.earlyInShell(script)
	}
	return nil
}

// earlyInShell looks for the program that a shell would be asked to start, which
// would say no more than "not found", and only after the pull.
func (s search) earlyInShell(script string) error {
	word, ok := firstCommand(script)
	if !ok {
		return nil
	}
	if fault := s.early(word); fault != nil {
		return s.explain(word, fault)
	}
	return nil
}

// shellForm returns the script of a command in shell form, as builders write it:
// ["/bin/sh", "-c", "..."].
func shellForm(argv []string) (script string, ok bool) {
	shells := []string{"/bin/sh", "sh", "/bin/bash", "bash", "/bin/ash", "ash"}
	if len(argv) == 3 && slices.Contains(shells, argv[0]) && argv[1] == "-c" {
		return argv[2], true
	}
	return "", false
}

// plainWord is a word that a shell takes as it stands.
var plainWord = regexp.MustCompile(`^[A-Za-z0-9_./-]+$`)

// firstCommand returns the program that a script starts first, if that is plain
// to see: no builtin, keyword, expansion or function comes before it.
func firstCommand(script string) (string, bool) {
	words := strings.Fields(script)
	if len(words) > 1 && words[0] == "exec" {
		words = words[1:]
	}
	if len(words) == 0 || !plainWord.MatchString(words[0]) || isBuiltin(words[0]) {
		return "", false
	}
	return words[0], true
}

// isBuiltin says whether a word is a reserved word of the shell, one of its
// builtins (POSIX.1-2024, 2.4, 2.9.1.4 and 2.15), or one that shells commonly
// have in addition.
func isBuiltin(word string) bool {
	return slices.Contains(strings.Fields(`
		. : [ alias bg break case cd command continue declare do done echo elif else enable esac eval exec exit export
		false fc fg fi for function getopts hash help if in jobs kill let local logout popd printf pushd pwd read readonly
		return select set shift shopt source suspend test then time times trap true type typeset ulimit umask unalias
		unset until wait while`), word)
}

// Doubts says before a layer is fetched what may keep a program from working
// that can start: that an image on another minor version of Python is run by
// this container's. It may need no package, and bring those that it needs below
// /app, so that this is no error.
func Doubts(root *rootfs.Root, plan launch.Plan, taken Taken) []string {
	s := search{root: root, plan: plan, taken: taken}
	name, minor := path.Base(plan.Argv[0]), s.imageMinor()
	if taken.Allows == nil || minor < 0 || !pythonName.MatchString(name) || minorOf(name) >= 0 || s.mayBring(plan.Argv[0]) {
		return nil
	}
	pythons := findPythons(root)
	if _, fits := ofMinor(pythons, minor); fits || len(pythons) == 0 {
		return nil
	}
	return []string{fmt.Sprintf("the image is built on Python 3.%d, and %s of this container is %s: what pip installed outside of /app is not found; %s",
		minor, show(plan.Argv[0]), pythons[len(pythons)-1].version(), s.whole())}
}

// mayBring reports whether the image itself may bring a program.
func (s search) mayBring(command string) bool {
	if strings.Contains(command, "/") {
		return s.takes(s.absolute(command))
	}
	_, dirs := s.searchPath()
	return slices.ContainsFunc(dirs, func(dir string) bool { return s.takes(dir + "/" + command) })
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
