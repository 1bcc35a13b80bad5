package extract

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/drengskapur/fastmcp-runner/internal/hint"
	"github.com/drengskapur/fastmcp-runner/internal/ids"
)

// maxNamed is how many paths of a kind one error names.
const maxNamed = 10

// WriteError says that the host does not let the image be written. It names
// the directories that would have to be writable.
type WriteError struct {
	Dirs []string // absolute, sorted; those directly below the root may be missing
	// Files are what would have to be made in the root itself, which is
	// nobody's to give away: absolute, sorted.
	Files []string
	User  ids.User // who tried
	Err   error    // what the host said to the first
}

func (e *WriteError) Error() string {
	var refused []string
	if len(e.Dirs) > 0 {
		refused = append(refused, "write in "+list(e.Dirs))
	}
	if len(e.Files) > 0 {
		refused = append(refused, "make "+list(e.Files))
	}
	return fmt.Sprintf("cannot %s as uid %d: %v", strings.Join(refused, ", nor "), e.User.UID, e.Err)
}

// list names the first of some paths.
func list(paths []string) string {
	named := strings.Join(first(paths), ", ")
	if n := len(paths) - maxNamed; n > 0 {
		named += fmt.Sprintf(" and %d more", n)
	}
	return named
}

func first(paths []string) []string { return paths[:min(len(paths), maxNamed)] }

func (e *WriteError) Unwrap() error { return e.Err }

// hint says what would make the directories writable.
func (e *WriteError) hint() string {
	switch {
	case errors.Is(e.Err, unix.EROFS):
		return "the container's root is read-only: mount a writable volume or tmpfs there"
	case errors.Is(e.Err, unix.EBUSY):
		return "something is mounted in the place of what the image has there: mount it elsewhere"
	case e.User.UID == 0:
		return "root is without the capabilities for this: give the container DAC_OVERRIDE and FOWNER, " +
			"or start it as the user whom the directories belong to"
	}
	if len(e.Files) > 0 {
		return "start the container as root"
	}
	dirs := strings.Join(first(e.Dirs), " ")
	return fmt.Sprintf("start the container as root, or make the directories writable in a Dockerfile: RUN mkdir -p %s && chown %d:%d %s",
		dirs, e.User.UID, e.User.GID, dirs)
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

// place is the directory that would have to be writable: the one above, or what
// lies directly below the root itself, since somebody else can make that.
func (r *refusal) place() string {
	if r.inRoot() {
		return "/" + r.path
	}
	return "/" + parentOf(r.path)
}

func (r *refusal) inRoot() bool { return parentOf(r.path) == "" }

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

// refusals collects what could not be written.
type refusals struct {
	dirs, files map[string]bool // as in a WriteError
	first       error
}

// take collects err if it is a refusal, and reports whether it was.
func (r *refusals) take(err error) bool {
	var refused *refusal
	if !errors.As(err, &refused) {
		return false
	}
	if r.first == nil {
		r.dirs, r.files = map[string]bool{}, map[string]bool{}
		r.first = cause(refused.err)
	}
	places := r.dirs
	if refused.inRoot() && !refused.isDir {
		places = r.files
	}
	places[refused.place()] = true
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
func (r *refusals) err(user ids.User) error {
	if r.first == nil {
		return nil
	}
	refused := &WriteError{
		Dirs: slices.Sorted(maps.Keys(r.dirs)), Files: slices.Sorted(maps.Keys(r.files)), User: user, Err: r.first,
	}
	return hint.Add(refused, refused.hint())
}

// diskHint says why the need is not known beforehand, and what to do.
const diskHint = "a manifest tells only the compressed sizes, so the need shows while unpacking: " +
	"give the container more disk, or memory where its file system lies in memory"

// explainSpace says of a full disk, quota or memory how many bytes of files had
// been written by then.
func explainSpace(err error, written int64) error {
	for _, full := range []error{unix.ENOSPC, unix.EDQUOT, unix.ENOMEM} {
		if errors.Is(err, full) {
			return hint.Add(fmt.Errorf("no room left after %d bytes of files: %w", written, cause(err)), diskHint)
		}
	}
	return err
}
