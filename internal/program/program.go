// Package program finds the program of a launch plan below a root and says
// exactly why it cannot start there, which execve(2) does not: its "no such
// file or directory" may mean the file, its ELF interpreter, or the
// interpreter that its first line names. It also makes the two mends that let
// an image's Python packages run on the Python of this container.
//
// It knows nothing of registries and layers, and it executes nothing.
//
// Everything is looked up below the root that plays the container's root,
// interpreters too, although the kernel resolves those at its own root: when
// the two differ, somebody tries out what a container would do.
package program

import (
	"path"
	"strings"

	"github.com/drengskapur/fastmcp-runner/internal/launch"
	"github.com/drengskapur/fastmcp-runner/internal/rootfs"
)

// Program is a program that can start.
type Program struct {
	// Path is where it was found: absolute inside the root, links not
	// followed, because programs look at their own path.
	Path string
	// Exec is the file to give to execve(2), as seen from outside the root.
	Exec string
}

// Find finds the program that the plan's Argv[0] names, as execvp(3) would:
// a name without a slash in the directories of the plan's PATH, any other
// below the plan's directory. If it cannot start, the error is an *Error.
//
// taken serves to say why something is missing, and what would help.
func Find(root *rootfs.Root, plan launch.Plan, taken Taken) (Program, error) {
	s := search{root: root, plan: plan, taken: taken}
	found, fault := s.program()
	if fault != nil {
		return Program{}, s.explain(plan.Argv[0], fault)
	}
	return Program{Path: found.path, Exec: s.outside(found)}, nil
}

// Taken is what of an image is taken, and what else could be done with it here.
type Taken struct {
	// Allows reports whether an absolute, clean path is taken from the image.
	// Nil means that everything is.
	Allows func(path string) bool
	// Anywhere says that more could be taken, wherever it lies: who lays the
	// image may write in every directory.
	Anywhere bool
	// Instead returns which setting or line would have this host run the image
	// in the other way: as a whole if Allows leaves something out, and on the
	// runner's own Python if it is nil. It is asked once, and only for a hint.
	Instead func() string
}

// search is one look at a root on behalf of a plan.
type search struct {
	root  *rootfs.Root
	plan  launch.Plan
	taken Taken
}

// file is a regular file that the plan's user may execute.
type file struct {
	path     string // as it was named, absolute
	resolved rootfs.Resolved
}

func (s search) program() (file, *fault) {
	found, fault := s.lookup(s.plan.Argv[0])
	if fault != nil {
		return file{}, fault
	}
	return found, s.checkFormat(found, 0)
}

// outside translates a path of the root. With another root than "/", the
// kernel would follow the file's absolute links out of it; it gets the end of
// them instead.
func (s search) outside(f file) string {
	if s.root.Join("/") == "/" {
		return f.path
	}
	return s.root.Join(f.resolved.Path)
}

// takes reports whether the image's file at a path is taken.
func (s search) takes(p string) bool {
	return s.taken.Allows == nil || s.taken.Allows(path.Clean(p))
}

// absolute returns a path of the plan as seen from the root directory. It
// stays uncleaned: an element before ".." may be a symbolic link.
func (s search) absolute(p string) string {
	if path.IsAbs(p) {
		return p
	}
	return strings.TrimSuffix(s.plan.Dir, "/") + "/" + p
}

// searchPath returns the plan's PATH, in which an empty element means the
// current directory, and its directories as absolute paths.
func (s search) searchPath() (text string, dirs []string) {
	text, _ = s.plan.Lookup("PATH")
	for dir := range strings.SplitSeq(text, ":") {
		dirs = append(dirs, strings.TrimSuffix(s.absolute(dir), "/"))
	}
	return text, dirs
}
