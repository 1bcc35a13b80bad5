package program

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/drengskapur/fastmcp-runner/internal/ids"
	"github.com/drengskapur/fastmcp-runner/internal/rootfs"
)

// lookup finds the executable file that a command names.
func (s search) lookup(command string) (file, *fault) {
	if strings.Contains(command, "/") {
		return s.executable(s.absolute(command))
	}
	return s.lookupInPath(command)
}

// lookupInPath takes the first executable of that name. What is there but is
// no executable is passed over, as execvp(3) does, and is the reason if
// nothing follows. A dangling link is the reason at once: in the image it was
// the program, and another one further on is not what the image means to run.
func (s search) lookupInPath(name string) (file, *fault) {
	text, dirs := s.searchPath()
	var first *fault
	for _, dir := range dirs {
		found, fault := s.executable(dir + "/" + name)
		if fault == nil {
			return found, nil
		}
		if s.isLink(dir+"/"+name) && fault.code == codeNotFound {
			return file{}, fault
		}
		if first == nil && fault.code != codeNotFound {
			first = fault
		}
	}
	if first != nil {
		return file{}, first
	}
	return file{}, &fault{
		cause: fmt.Sprintf("not found in PATH=%q", text),
		code:  codeNotFound,
		lacks: name, outside: s.taken.Allows != nil,
	}
}

// executable looks at one path: is it a regular file that the plan's user may
// execute?
func (s search) executable(p string) (file, *fault) {
	resolved, err := s.root.Resolve(p)
	switch {
	case errors.Is(err, unix.ENOTDIR):
		return file{}, &fault{cause: "no such file: " + show(p) + " lies below a file", code: codeNotFound, lacks: p}
	case err != nil:
		return file{}, &fault{cause: err.Error(), code: codeCannotExec}
	case !resolved.Exists:
		return file{}, s.missing(p, resolved)
	case resolved.Info.IsDir():
		return file{}, &fault{cause: show(p) + " is a directory", code: codeCannotExec, hint: "name the program in it by RUNNER_ENTRYPOINT"}
	case !resolved.Info.IsRegular():
		return file{}, &fault{cause: show(p) + " is not a regular file", code: codeCannotExec}
	}
	return file{p, resolved}, s.checkAccess(p, resolved)
}

// missing says why there is nothing at a path: nothing at all, or a symbolic
// link that leads nowhere.
func (s search) missing(p string, resolved rootfs.Resolved) *fault {
	links, taken := s.chain(p, resolved), s.takes(resolved.Path)
	switch {
	case len(links) == 0 && taken:
		return &fault{cause: "no such file: " + show(p), code: codeNotFound, lacks: p}
	case len(links) == 0:
		return &fault{cause: "no such file: " + show(p) + ", which is outside the allowlist", code: codeNotFound, lacks: p, outside: true}
	}
	where := "which is outside the allowlist"
	if taken {
		where = "which does not exist"
	}
	steps := []string{show(path.Clean(p))}
	for _, link := range links {
		steps = append(steps, show(link.Target))
	}
	return &fault{
		cause: strings.Join(steps, " -> ") + ", " + where,
		code:  codeNotFound,
		hint:  hintForContent,
		lacks: resolved.Path, outside: !taken,
	}
}

// chain returns the links that the last element of a path stands for, and not
// those of the directories on the way to it.
func (s search) chain(p string, resolved rootfs.Resolved) []rootfs.Link {
	parent, err := s.root.Resolve(path.Dir(p))
	if err != nil {
		return nil
	}
	name := path.Join(parent.Path, path.Base(p))
	for i, link := range resolved.Links {
		if link.Path == name {
			return resolved.Links[i:]
		}
	}
	return nil
}

func (s search) isLink(p string) bool {
	resolved, err := s.root.Resolve(p)
	return err == nil && len(s.chain(p, resolved)) > 0
}

// checkAccess asks whether the plan's user may execute the file and pass
// through the directories above it. Access control lists are not looked at:
// images cannot carry them.
func (s search) checkAccess(p string, resolved rootfs.Resolved) *fault {
	for dir := path.Dir(resolved.Path); dir != "/"; dir = path.Dir(dir) {
		above, err := s.root.Resolve(dir)
		if err == nil && !mayExecute(above.Info, s.plan.User) {
			return &fault{
				cause: fmt.Sprintf("%s lies in %s, which user %s may not enter (mode %#o)", show(p), show(dir), s.plan.User, above.Info.Perm()),
				code:  codeCannotExec,
				hint:  "make the directory accessible in the image: chmod a+rx",
			}
		}
	}
	if !mayExecute(resolved.Info, s.plan.User) {
		return &fault{
			cause: fmt.Sprintf("%s is not executable for user %s (mode %#o)", show(p), s.plan.User, resolved.Info.Perm()),
			code:  codeCannotExec,
			hint:  "make it executable in the image: chmod a+rx",
		}
	}
	return nil
}

// mayExecute applies the permission bits as inode(7) says: the first class
// that the user belongs to decides.
func mayExecute(info rootfs.Info, user ids.User) bool {
	uid, gid := info.Owner()
	switch {
	case user.UID == 0:
		return info.IsDir() || info.Perm()&0o111 != 0
	case user.UID == uid:
		return info.Perm()&0o100 != 0
	case user.GID == gid:
		return info.Perm()&0o010 != 0
	}
	return info.Perm()&0o001 != 0
}
