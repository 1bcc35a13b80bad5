package extract

import (
	"errors"
	"io/fs"
	"path"
	"strings"

	"github.com/drengskapur/fastmcp-runner/internal/layer"
	"github.com/drengskapur/fastmcp-runner/internal/rootfs"
)

// hostLinks returns the targets of those of the given paths that are symbolic
// links.
func hostLinks(root *rootfs.Root, paths []string) (map[string]string, error) {
	links := map[string]string{}
	for _, p := range paths {
		dir, err := root.OpenDir(parentOf(p))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		info, err := dir.Stat(baseOf(p))
		if err == nil && info.IsSymlink() {
			links[p], err = dir.Readlink(baseOf(p))
		}
		if err := errors.Join(dir.Close(), ignoreMissing(err)); err != nil {
			return nil, err
		}
	}
	return links, nil
}

// keep takes the host's links into the tree, as if a layer below the lowest had
// brought them.
func (t *tree) keep(links map[string]string) {
	for p, target := range links {
		n := t.claim(p, nobody)
		n.kind, n.target, n.fixed = layer.Symlink, target, true
	}
}

// meansLink reports whether an entry wants at p what the host's link there
// gives already: a directory, or a link to the same place.
func (x *lane) meansLink(p string, ent layer.Entry) bool {
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
func (x *lane) writeBehind(p string, ent layer.Entry, err error) error {
	n := x.tree.find(p)
	if _, refused := errors.AsType[*refusal](err); !refused || n == nil || !n.fixed {
		return err
	}
	behind := strings.TrimPrefix(leadsTo(p, n.target), "/")
	ent.Linkname = leadsTo(p, ent.Linkname)
	return x.writeLeaf(behind, ent)
}

// meansItself reports whether an entry is a link to what has its place already,
// because a link of the host made one directory of two: /usr/bin/env, a link to
// /bin/env, where the one directory is a link to the other.
func (x *lane) meansItself(p string, ent layer.Entry) bool {
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
