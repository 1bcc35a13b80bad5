// Package rootfs is a directory that plays a container's root. Every path is
// resolved as chroot(2) would: absolute symbolic links and surplus ".."
// elements stay inside. Confinement rests on descriptors: each directory is
// opened from its parent's descriptor without following a link, so that the
// kernel never resolves a path across one and nothing that changes meanwhile
// leads outside. (openat2(2) with RESOLVE_IN_ROOT would do the same, but gVisor
// has no openat2, and the resolved path itself is needed here.)
//
// The package knows nothing of layers, images or allowlists.
package rootfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// maxLinks is how many symbolic links one resolution follows before it gives
// up with ELOOP, as in path_resolution(7).
const maxLinks = 40

// Root is an open root directory.
type Root struct {
	name string
	dir  *Dir
}

// Open opens the directory name as a root. The caller closes it.
func Open(name string) (*Root, error) {
	fd, err := unix.Open(name, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return &Root{name: filepath.Clean(name), dir: &Dir{fd: fd}}, nil
}

// Close closes the root. Directories that were opened from it stay open.
func (r *Root) Close() error { return r.dir.Close() }

// Join returns where path p of the root lies outside of it: for messages and
// for execve(2), not for opening. p is taken as text, links are not resolved.
func (r *Root) Join(p string) string { return filepath.Join(r.name, path.Clean("/"+p)) }

// Dir returns the root directory itself. It belongs to the root: the caller
// does not close it.
func (r *Root) Dir() *Dir { return r.dir }

// Link is a symbolic link that a resolution passed through.
type Link struct {
	Path   string // where the link lies, absolute inside the root
	Target string // what it holds, byte for byte
}

// Resolved is where a path leads.
type Resolved struct {
	// Path is the path free of links, absolute inside the root. If nothing
	// exists there it is the path that is missing.
	Path string
	// Exists reports whether there is something at Path.
	Exists bool
	// Info describes what is there: type and permissions, owner, size.
	Info Info
	// Links are the symbolic links that were followed, in order.
	Links []Link
}

// Resolve follows p inside the root to its end, the last element included. A
// path that leads nowhere is no error: Exists says so. Errors are ELOOP after 40
// links, ENOTDIR, and what the kernel refuses.
func (r *Root) Resolve(p string) (Resolved, error) {
	w, err := r.walk(p)
	if err != nil {
		return Resolved{}, err
	}
	defer w.close()
	return w.resolved(), nil
}

// OpenFile opens the regular file at p for reading, links followed inside the
// root. Anything but a regular file is an error: a fifo would block, a device
// has effects.
func (r *Root) OpenFile(p string) (*os.File, error) {
	w, err := r.walk(p)
	if err != nil {
		return nil, err
	}
	defer w.close()
	found := w.resolved()
	if !found.Exists {
		return nil, &fs.PathError{Op: "open", Path: p, Err: fs.ErrNotExist}
	}
	if !found.Info.IsRegular() {
		return nil, &fs.PathError{Op: "open", Path: p, Err: errors.New("not a regular file")}
	}
	return w.dir().openRegular(w.last, found.Path)
}

// ReadFile returns the content of the regular file at p, which must not be
// longer than limit bytes.
func (r *Root) ReadFile(p string, limit int64) ([]byte, error) {
	f, err := r.OpenFile(p)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(content)) > limit {
		return nil, &fs.PathError{Op: "read", Path: p, Err: fmt.Errorf("longer than %d bytes", limit)}
	}
	return content, nil
}

// OpenDir opens the directory at p, links followed inside the root. The caller
// closes it.
func (r *Root) OpenDir(p string) (*Dir, error) {
	w, err := r.walk(p)
	if err != nil {
		return nil, err
	}
	defer w.close()
	switch found := w.resolved(); {
	case !found.Exists:
		return nil, &fs.PathError{Op: "open", Path: p, Err: fs.ErrNotExist}
	case !found.Info.IsDir():
		return nil, &fs.PathError{Op: "open", Path: p, Err: unix.ENOTDIR}
	case w.last == "":
		return w.dir().Clone()
	}
	return w.dir().Open(w.last)
}

// walk is one resolution under way: the directories from the root down to
// where it stands, and what is still to be resolved.
type walk struct {
	root    *Root
	names   []string // the elements of the path so far
	opened  []*Dir   // the directory of each element
	pending []string // elements still to come
	links   []Link

	last string // the final element below the last directory, "" for that directory itself
	info Info   // of last, if it exists
	ok   bool
}

// walk resolves p up to its last element, which is looked at but not opened.
func (r *Root) walk(p string) (*walk, error) {
	w := &walk{root: r, pending: strings.Split(p, "/")}
	for len(w.pending) > 0 {
		if err := w.step(); err != nil {
			w.close()
			return nil, &fs.PathError{Op: "resolve", Path: p, Err: err}
		}
	}
	return w, nil
}

// step resolves the next pending element.
func (w *walk) step() error {
	name := w.pending[0]
	w.pending = w.pending[1:]
	if name == "" || name == "." {
		return nil
	}
	if err := w.enterLast(); err != nil {
		return err
	}
	if name == ".." {
		w.leave()
		return nil
	}
	return w.look(name)
}

// enterLast opens the element that was looked at last, because more of the
// path lies below it. Below a missing element everything is missing: its names
// are kept as text.
func (w *walk) enterLast() error {
	if w.last == "" {
		return nil
	}
	name := w.last
	w.last = ""
	if !w.ok {
		w.push(name, nil)
		return nil
	}
	if !w.info.IsDir() {
		return unix.ENOTDIR
	}
	dir, err := w.dir().Open(name)
	if err != nil {
		return err
	}
	w.push(name, dir)
	return nil
}

// look stats name in the current directory; a symbolic link puts its target in
// front of what is pending.
func (w *walk) look(name string) error {
	w.last, w.ok = name, false
	dir := w.dir()
	if dir == nil {
		return nil
	}
	info, err := dir.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	w.info, w.ok = info, true
	if info.IsSymlink() {
		return w.follow(name)
	}
	return nil
}

// follow replaces the link that was looked at last by its target.
func (w *walk) follow(name string) error {
	if len(w.links) == maxLinks {
		return unix.ELOOP
	}
	target, err := w.dir().Readlink(name)
	if err != nil {
		return err
	}
	w.links = append(w.links, Link{Path: w.path(), Target: target})
	w.last, w.ok = "", false
	if path.IsAbs(target) {
		w.close()
	}
	w.pending = append(strings.Split(target, "/"), w.pending...)
	return nil
}

func (w *walk) push(name string, dir *Dir) {
	w.names = append(w.names, name)
	w.opened = append(w.opened, dir)
}

// leave goes one directory up; above the root there is the root.
func (w *walk) leave() {
	if len(w.names) == 0 {
		return
	}
	top := len(w.names) - 1
	w.opened[top].closeQuietly()
	w.names, w.opened = w.names[:top], w.opened[:top]
}

// close goes back to the root and closes what was opened on the way.
func (w *walk) close() {
	for len(w.names) > 0 {
		w.leave()
	}
}

// dir is the directory where the walk stands; nil if that does not exist.
func (w *walk) dir() *Dir {
	if len(w.opened) == 0 {
		return w.root.dir
	}
	return w.opened[len(w.opened)-1]
}

// path is where the walk stands, as text.
func (w *walk) path() string {
	return "/" + path.Join(append(slices.Clip(w.names), w.last)...)
}

func (w *walk) resolved() Resolved {
	found := Resolved{Path: w.path(), Exists: w.ok, Info: w.info, Links: w.links}
	if w.last != "" {
		return found
	}
	found.Exists = false
	if dir := w.dir(); dir != nil {
		if info, err := dir.Stat(""); err == nil {
			found.Exists, found.Info = true, info
		}
	}
	return found
}
