package extract

import (
	"errors"
	"io/fs"

	"golang.org/x/sys/unix"

	"github.com/drengskapur/fastmcp-runner/internal/layer"
	"github.com/drengskapur/fastmcp-runner/internal/rootfs"
)

// clear makes room at p for an entry of the image. Of the user's data only
// what this extraction laid itself is removed; if anything else remains, the
// entry gives way.
func (x *lane) clear(dir *rootfs.Dir, p string) error {
	n := x.tree.find(p)
	if x.opts.Keep(p) {
		if n == nil || !n.laid {
			return errKept
		}
		return x.forget(p, n)
	}
	x.dirs.closeBelow(p)
	if err := dir.RemoveAll(baseOf(p)); err != nil {
		return refusedAt(p, err)
	}
	if n != nil && n.laid { // or else what was left out below stays known
		x.tree.remove(p)
	}
	return nil
}

// whiteout removes p as the layers below this one left it (image
// specification, "Whiteouts"). What this layer itself put there stays,
// wherever in the stream the marker stands. A missing path is no error, and
// nothing that the image did not bring is touched.
func (x *lane) whiteout(p string) error {
	n := x.tree.find(p)
	if n == nil {
		return nil
	}
	return x.settle(x.hide(p, n))
}

// opaque removes the children of p as the layers below this one left them. The
// directory itself belongs to this layer, since the marker lies in it.
func (x *lane) opaque(p string) error {
	p, err := x.tree.resolve(p)
	if err != nil {
		return err
	}
	n := x.tree.find(p)
	if n == nil || n.kind != layer.Dir {
		return nil
	}
	return x.settle(x.hideChildren(p, n))
}

// hide removes the node at p, or those of its descendants that this layer has
// not named.
func (x *lane) hide(p string, n *node) error {
	if n.fixed {
		return nil
	}
	if n.layer < x.layer && n.above <= x.layer {
		return x.forget(p, n)
	}
	if err := x.hideChildren(p, n); err != nil || n.described != nil && n.described.layer >= x.layer {
		return err
	}
	n.described = nil // it is a new directory that what is left lies in
	if !n.laid || n.kind != layer.Dir || n.hasLaid() {
		return nil
	}
	n.laid = false
	return x.rmdir(p)
}

// hasLaid reports whether something directly below n was laid.
func (n *node) hasLaid() bool {
	for _, child := range n.children {
		if child.laid {
			return true
		}
	}
	return false
}

// hideChildren does so for what is below n. Once is enough for a layer: all
// that comes later is its own.
func (x *lane) hideChildren(p string, n *node) error {
	if n.hidden == x.layer {
		return nil
	}
	n.hidden = x.layer
	for name, child := range n.children {
		if err := x.hide(join(p, name), child); err != nil {
			return err
		}
	}
	return nil
}

// forget removes what this extraction laid at p and below, and then the node.
// A directory that holds anything else stays on the disk; in the user's data
// that makes the caller's entry give way.
func (x *lane) forget(p string, n *node) error {
	if n == nil {
		return nil
	}
	if err := x.unlay(p, n); err != nil {
		return err
	}
	x.tree.remove(p)
	return nil
}

// unlay removes what was laid at p and below from the disk.
func (x *lane) unlay(p string, n *node) error {
	for name, child := range n.children {
		if err := x.unlay(join(p, name), child); err != nil {
			return err
		}
	}
	if !n.laid {
		return nil
	}
	if n.kind == layer.Dir {
		return x.rmdir(p)
	}
	dir, err := x.openDir(parentOf(p))
	if err != nil {
		return err
	}
	return refusedAt(p, ignoreMissing(dir.Unlink(baseOf(p))))
}

// rmdir removes the directory p from the disk if it is empty.
func (x *lane) rmdir(p string) error {
	dir, err := x.openDir(parentOf(p))
	if err != nil {
		return err
	}
	x.dirs.closeAt(p)
	err = dir.Rmdir(baseOf(p))
	if errors.Is(err, unix.ENOTEMPTY) {
		return nil // what is left in it is not of the image
	}
	return refusedAt(p, ignoreMissing(err))
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
