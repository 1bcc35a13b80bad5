package extract

import (
	"context"
	"errors"
	"fmt"
	"io"

	"golang.org/x/sys/unix"

	"github.com/drengskapur/fastmcp-runner/internal/layer"
	"github.com/drengskapur/fastmcp-runner/internal/rootfs"
)

// hardLink is a further name, path, for the file at target; both free of
// symbolic links.
type hardLink struct{ path, target string }

// writeHardLink links p to what the image has at target. A target that is not
// on the disk waits for the end of the layer: it may come later, or lie outside
// of what is wanted.
func (x *extraction) writeHardLink(p, target string) error {
	parent, err := x.tree.resolve(parentOf(target))
	if err != nil {
		return err
	}
	link := hardLink{path: p, target: join(parent, baseOf(target))}
	if x.isLaid(link.target) {
		return x.link(link)
	}
	x.pending = append(x.pending, link)
	return nil
}

// isLaid reports whether this extraction put something that can be linked at p.
func (x *extraction) isLaid(p string) bool {
	n := x.tree.find(p)
	return n != nil && n.laid && n.kind != layer.Dir
}

// link makes the link, or a copy where the file system has no link to give:
// across a mount point, or where protected_hardlinks forbids it (proc(5)). The
// source is opened below its own directory, never by an unchecked path.
func (x *extraction) link(l hardLink) error {
	if l.path == l.target {
		return nil
	}
	to, err := x.openDir(parentOf(l.path))
	if err != nil {
		return err
	}
	from, err := x.openDir(parentOf(l.target))
	if err != nil {
		return err
	}
	err = x.make(to, l.path, func() error { return from.Link(baseOf(l.target), to, baseOf(l.path)) })
	if cannotLink(err) {
		err = x.copy(from, to, l)
	}
	if err != nil {
		return fmt.Errorf("cannot link to %q: %w", l.target, err)
	}
	n := x.tree.find(l.target)
	x.lay(l.path, n.kind, n.target)
	return nil
}

func cannotLink(err error) bool {
	for _, no := range []error{unix.EXDEV, unix.EPERM, unix.EMLINK, unix.EOPNOTSUPP} {
		if errors.Is(err, no) {
			return true
		}
	}
	return false
}

// copy makes l.path a file of its own with the content and metadata of
// l.target.
func (x *extraction) copy(from, to *rootfs.Dir, l hardLink) error {
	n := x.tree.find(l.target)
	if n.kind == layer.Symlink {
		return x.make(to, l.path, func() error { return to.Symlink(n.target, baseOf(l.path)) })
	}
	src, err := from.OpenRegular(baseOf(l.target))
	if err != nil {
		return err
	}
	defer src.Close()
	info, err := from.Stat(baseOf(l.target))
	if err != nil {
		return err
	}
	uid, gid := info.Owner()
	ent := layer.Entry{Kind: layer.File, Mode: info.Perm(), UID: int(uid), GID: int(gid), ModTime: info.ModTime()}
	return x.writeFile(to, l.path, ent, src)
}

// placePending makes the links of this layer that had to wait.
func (x *extraction) placePending(ctx context.Context) error {
	links := x.pending
	x.pending = nil
	wanted := map[string][]string{}
	for _, l := range links {
		switch {
		case x.isLaid(l.target):
			if err := x.settle(x.link(l)); err != nil {
				return err
			}
		case x.opts.Wanted(l.target) && !x.opts.Keep(l.target):
			return fmt.Errorf("the hard link %q has no target: the image has no file %q", l.path, l.target)
		default:
			wanted[l.target] = append(wanted[l.target], l.path)
		}
	}
	return x.fetchContent(ctx, wanted)
}

// fetchContent gives hard links whose target is not laid the target's content:
// one link becomes the file, the others link to it. For that the layer is read
// once more, and those below it as long as a target is missing, since a link
// may reach into lower layers.
func (x *extraction) fetchContent(ctx context.Context, wanted map[string][]string) error {
	for i := x.layer; i >= 0 && len(wanted) > 0; {
		found, err := x.fetchFrom(ctx, i, wanted)
		if err != nil {
			return err
		}
		if !found {
			i--
		}
	}
	for target, links := range wanted {
		return fmt.Errorf("the hard link %q has no target: the image has no file %q", links[0], target)
	}
	return nil
}

// fetchFrom reads layer i for the wanted targets and reports whether it is to
// be read again, because a target was itself a hard link to another.
func (x *extraction) fetchFrom(ctx context.Context, i int, wanted map[string][]string) (again bool, err error) {
	got := map[string]bool{}
	chained := map[string]string{}
	_, err = x.read(ctx, openAhead(ctx, x.layers, i), layer.Usage{}, func(ent layer.Entry, content io.Reader) error {
		x.dirs.trim()
		parent, err := x.tree.resolve(parentOf(ent.Path))
		if err != nil {
			return err
		}
		p := join(parent, baseOf(ent.Path))
		links := wanted[p]
		switch {
		case links == nil:
			return nil
		case ent.Kind == layer.File || ent.Kind == layer.Symlink:
			got[p] = true
			return x.settle(x.writeLeaf(links[0], ent, content))
		case ent.Kind == layer.HardLink:
			chained[p] = ent.Linkname
		}
		return nil
	})
	if err != nil {
		return false, err
	}
	for target := range got {
		if err := x.linkAll(wanted[target]); err != nil {
			return false, err
		}
		delete(wanted, target)
		delete(chained, target)
	}
	for target, next := range chained {
		if err := x.chain(wanted, target, next); err != nil {
			return false, err
		}
	}
	return len(chained) > 0, nil
}

// linkAll links all names to the first, which holds the content.
func (x *extraction) linkAll(names []string) error {
	if !x.isLaid(names[0]) {
		return nil // it gave way, and so do the others
	}
	for _, name := range names[1:] {
		if err := x.settle(x.link(hardLink{path: name, target: names[0]})); err != nil {
			return err
		}
	}
	return nil
}

// chain replaces a wanted target by the one that it is a hard link to.
func (x *extraction) chain(wanted map[string][]string, target, next string) error {
	links := wanted[target]
	delete(wanted, target)
	parent, err := x.tree.resolve(parentOf(next))
	if err != nil {
		return err
	}
	next = join(parent, baseOf(next))
	if next == target {
		return fmt.Errorf("the hard link %q is its own target", target)
	}
	wanted[next] = append(wanted[next], links...)
	return nil
}
