package extract

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// maxNamed is how many directories one error names.
const maxNamed = 10

// WriteError says that the host does not let the image be written. It names
// the directories that would have to be writable.
type WriteError struct {
	Dirs []string // absolute, sorted; those directly below the root may be missing
	User Owner    // who tried
	Err  error    // what the host said to the first
}

func (e *WriteError) Error() string {
	named := e.named()
	more := ""
	if n := len(e.Dirs) - len(named); n > 0 {
		more = fmt.Sprintf(" and %d more", n)
	}
	return fmt.Sprintf("cannot write in %s%s as uid %d: %v", strings.Join(named, ", "), more, e.User.UID, e.Err)
}

func (e *WriteError) named() []string { return e.Dirs[:min(len(e.Dirs), maxNamed)] }

func (e *WriteError) Unwrap() error { return e.Err }

// Hint says what would make the directories writable.
func (e *WriteError) Hint() string {
	switch {
	case errors.Is(e.Err, unix.EROFS):
		return "the container's root is read-only: mount a writable volume or tmpfs there"
	case errors.Is(e.Err, unix.EBUSY):
		return "something is mounted in the place of what the image has there: mount it elsewhere"
	case e.User.UID == 0:
		return "root is without the capabilities for this: give the container DAC_OVERRIDE and FOWNER, " +
			"or start it as the user whom the directories belong to"
	}
	// The root directory itself is nobody's to give away.
	dirs := slices.DeleteFunc(slices.Clone(e.named()), func(dir string) bool { return dir == "/" })
	if len(dirs) == 0 {
		return "start the container as root"
	}
	list := strings.Join(dirs, " ")
	return fmt.Sprintf("start the container as root, or make the directories writable in a Dockerfile: RUN mkdir -p %s && chown %d:%d %s",
		list, e.User.UID, e.User.GID, list)
}

// refusal is an error of the host about one path: no right to write there.
type refusal struct {
	path string
	err  error
	// isDir says that path was to become a directory.
	isDir bool
}

func (r *refusal) Error() string { return r.err.Error() }
func (r *refusal) Unwrap() error { return r.err }

// place is the directory that would have to be writable: the one above, or a
// directory directly below the root itself, since somebody else can make that.
func (r *refusal) place() string {
	parent := parentOf(r.path)
	if parent == "" && r.isDir {
		return "/" + r.path
	}
	return "/" + parent
}

// refusedAt marks an error of permission with the path that it is about; other
// errors and nil stay as they are.
func refusedAt(p string, err error) error {
	for _, no := range []error{unix.EACCES, unix.EPERM, unix.EROFS, unix.EBUSY} {
		if errors.Is(err, no) {
			return &refusal{path: p, err: err}
		}
	}
	return err
}

// refusals collects the directories that could not be written in.
type refusals struct {
	dirs  map[string]bool
	first error
}

// take collects err if it is a refusal, and reports whether it was.
func (r *refusals) take(err error) bool {
	var refused *refusal
	if !errors.As(err, &refused) {
		return false
	}
	if r.dirs == nil {
		r.dirs = map[string]bool{}
		r.first = cause(refused.err)
	}
	r.dirs[refused.place()] = true
	return true
}

// cause returns the innermost error, which is what the kernel said.
func cause(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}

// err returns what user was refused as one error, nil if there was nothing.
func (r *refusals) err(user Owner) error {
	if len(r.dirs) == 0 {
		return nil
	}
	e := &WriteError{User: user, Err: r.first}
	for dir := range r.dirs {
		e.Dirs = append(e.Dirs, dir)
	}
	slices.Sort(e.Dirs)
	return e
}

// SpaceError says that the host has no room for the image.
type SpaceError struct {
	Written int64 // bytes that had been written by then
	Err     error
}

func (e *SpaceError) Error() string {
	return fmt.Sprintf("no room left after %d bytes of files: %v", e.Written, cause(e.Err))
}

func (e *SpaceError) Unwrap() error { return e.Err }

// Hint says why the need is not known beforehand, and what to do.
func (e *SpaceError) Hint() string {
	return "a manifest tells only the compressed sizes, so the need shows while unpacking: " +
		"give the container more disk, or memory where its file system lies in memory"
}

// explainSpace makes a full disk, quota or memory a SpaceError.
func (x *extraction) explainSpace(err error) error {
	for _, full := range []error{unix.ENOSPC, unix.EDQUOT, unix.ENOMEM} {
		if errors.Is(err, full) {
			return &SpaceError{Written: x.report.Bytes, Err: err}
		}
	}
	return err
}
