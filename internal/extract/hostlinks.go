package extract

import (
	"errors"
	"io/fs"
	"path"
	"strings"

	"github.com/drengskapur/fastmcp-runner/internal/layer"
)

// keepLinks takes the host's links into the tree, as if a layer below the
// lowest had brought them.
func (x *extraction) keepLinks() error {
	for _, p := range x.opts.Links {
		dir, err := x.dirs.root.OpenDir(parentOf(p))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		info, err := dir.Stat(baseOf(p))
		if err == nil && info.IsSymlink() {
			err = x.keepLink(dir.Readlink, p)
		}
		if err := errors.Join(dir.Close(), ignoreMissing(err)); err != nil {
			return err
		}
	}
	return nil
}

func (x *extraction) keepLink(readlink func(string) (string, error), p string) error {
	target, err := readlink(baseOf(p))
	if err != nil {
		return err
	}
	n := x.tree.claim(p, -1)
	n.kind, n.target, n.fixed = layer.Symlink, target, true
	return nil
}

// meansLink reports whether an entry wants at p what the host's link there
// gives already: a directory, or a link to the same place.
func (x *extraction) meansLink(p string, ent layer.Entry) bool {
	n := x.tree.find(p)
	if n == nil || !n.fixed {
		return false
	}
	return ent.Kind == layer.Dir || ent.Kind == layer.Symlink && leadsTo(p, ent.Linkname) == leadsTo(p, n.target)
}

// writeBehind is for a link of the image that was refused in the place of a
// link of the host, which stays then: the link is made where that one leads,
// so that the path ends up at the same place. Some systems have /sbin as a
// link to usr/bin, and the host's goes to usr/sbin.
func (x *extraction) writeBehind(p string, ent layer.Entry, err error) error {
	n := x.tree.find(p)
	if _, refused := errors.AsType[*refusal](err); !refused || n == nil || !n.fixed {
		return err
	}
	behind := strings.TrimPrefix(leadsTo(p, n.target), "/")
	ent.Linkname = leadsTo(p, ent.Linkname)
	return x.writeLeaf(behind, ent, nil)
}

// meansItself reports whether an entry is a link to what has its place already,
// because a link of the host made one directory of two: /usr/bin/env, a link to
// /bin/env, where the one directory is a link to the other.
func (x *extraction) meansItself(p string, ent layer.Entry) bool {
	if ent.Kind != layer.Symlink || len(x.opts.Links) == 0 {
		return false
	}
	if n := x.tree.find(p); n == nil || n.kind == layer.Symlink {
		return false
	}
	target, err := x.tree.resolve(strings.TrimPrefix(leadsTo(p, ent.Linkname), "/"))
	return err == nil && target == p
}

// leadsTo returns the path that a link at p means by target, as text: absolute
// and relative spellings of one place are the same.
func leadsTo(p, target string) string {
	if !path.IsAbs(target) {
		target = path.Join("/", parentOf(p), target)
	}
	return path.Clean(target)
}
