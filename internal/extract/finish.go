package extract

import (
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"

	"github.com/drengskapur/fastmcp-runner/internal/ids"
	"github.com/drengskapur/fastmcp-runner/internal/layer"
	"github.com/drengskapur/fastmcp-runner/internal/rootfs"
)

// finish sets what must come after the last write below a directory, and hands
// the owned directories over.
func (x *extraction) finish() error {
	if err := x.finishDirs("", x.tree.root); err != nil {
		return err
	}
	if !x.own.mayChown {
		return nil
	}
	for _, p := range x.opts.Owned {
		if err := x.handOver(p); err != nil {
			return fmt.Errorf("cannot give %q to uid %d: %w", "/"+p, x.own.owner.UID, err)
		}
	}
	return nil
}

// finishDirs sets modes, owners and times of the directories that the image
// described, the deepest first: a mode may take the right to go below, and a
// change below would set the time anew.
func (x *extraction) finishDirs(p string, n *node) error {
	for name, child := range n.children {
		if child.kind != layer.Dir {
			continue
		}
		if err := x.finishDirs(join(p, name), child); err != nil {
			return err
		}
	}
	if n.described == nil {
		return nil
	}
	x.dirs.trim()
	if err := x.finishDir(p, n.described.Entry); err != nil {
		return fmt.Errorf("entry %q: %w", p, err)
	}
	return nil
}

func (x *extraction) finishDir(p string, ent layer.Entry) error {
	parent, err := x.dirs.openPath(parentOf(p))
	if err != nil {
		return err
	}
	f, err := parent.OpenMeta(baseOf(p))
	if errors.Is(err, fs.ErrPermission) {
		x.report.Owners++ // a directory of the host that we may not even read
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(x.own.setDir(f, p, ent, &x.report), f.Close())
}

// isLaid reports whether this extraction put something other than a directory
// at p.
func (x *extraction) isLaid(p string) bool {
	n := x.tree.find(p)
	return n != nil && n.laid && n.kind != layer.Dir
}

// HandOver gives the directories, paths relative to root, with all that lies in
// them to owner. A path that does not exist is no error.
func HandOver(root *rootfs.Root, dirs []string, owner ids.User) error {
	x := newExtraction(root, nil, Options{Owner: owner}, nil)
	defer x.dirs.close()
	for _, p := range dirs {
		if err := x.handOver(p); err != nil {
			return fmt.Errorf("%q: %w", "/"+p, err)
		}
	}
	return nil
}

// handOver gives the directory p with all that lies in it to the owner: also
// what was there before, as the user's data.
func (x *extraction) handOver(p string) error {
	parent, err := x.dirs.root.OpenDir(parentOf(p))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		return nil
	}
	if err != nil {
		return err
	}
	defer parent.Close()
	info, err := parent.Stat(baseOf(p))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return x.giveEntry(parent, p, info)
}

// giveEntry changes the owner of one entry and of what is below it. It follows
// no link and enters no other file system. A file with further names that this
// extraction did not make is left alone: one of them may lie where its owner
// matters.
func (x *extraction) giveEntry(dir *rootfs.Dir, p string, info rootfs.Info) error {
	if !info.IsDir() && info.Links() > 1 && !x.isLaid(p) {
		return nil
	}
	uid, gid := info.Owner()
	if (ids.User{UID: uid, GID: gid}) != x.own.owner {
		err := dir.Lchown(baseOf(p), x.own.owner.UID, x.own.owner.GID)
		if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EROFS) {
			x.report.Owners++
			return nil
		}
		if err != nil {
			return err
		}
	}
	if !info.IsDir() {
		return nil
	}
	return x.giveChildren(dir, p, info.Device())
}

func (x *extraction) giveChildren(dir *rootfs.Dir, p string, device uint64) error {
	sub, err := dir.Open(baseOf(p))
	if err != nil {
		return err
	}
	defer sub.Close()
	names, err := x.others(sub, p)
	if err != nil {
		return err
	}
	for _, name := range names {
		info, err := sub.Stat(name)
		if err != nil {
			return err
		}
		if info.Device() != device {
			continue // a mount has its own owner
		}
		if err := x.giveEntry(sub, join(p, name), info); err != nil {
			return err
		}
	}
	return nil
}

// others lists what may be somebody else's in dir, the directory p. Where this
// extraction made it that is little: it gave each file its owner, but for one
// that has a name elsewhere.
func (x *extraction) others(dir *rootfs.Dir, p string) (names []string, err error) {
	n := x.tree.find(p)
	if n == nil || !n.laid {
		return dir.Names()
	}
	for name, child := range n.children {
		if child.laid && (child.kind == layer.Dir || child.linked) {
			names = append(names, name)
		}
	}
	return names, nil
}
