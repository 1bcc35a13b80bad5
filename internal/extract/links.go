package extract

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"

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
	target, err := x.locate(target)
	if err != nil {
		return err
	}
	link := hardLink{path: p, target: target}
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
	if err := x.fill.wait(); err != nil {
		return err // the target may not be complete
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
	return x.copyFile(to, l.path, ent, src)
}

// copyFile makes p a file with the content of src.
func (x *extraction) copyFile(dir *rootfs.Dir, p string, ent layer.Entry, src io.Reader) error {
	f, err := x.createFile(dir, p, ent.Mode)
	if err != nil {
		return err
	}
	written, err := io.Copy(f, src)
	x.report.Bytes += written
	if err == nil {
		x.report.Files++
		err = x.own.setFile(f, p, ent, &x.report)
	}
	return explainSpace(firstOf(err, f.Close()), x.report.Bytes)
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
		case x.opts.Wanted(l.target) && !x.opts.Keep(l.target) && !x.leadsToMount(l.target):
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
// may reach into lower layers. A target that is itself a hard link takes a
// second read of its layer, and no more: by then the end of the chain is known.
func (x *extraction) fetchContent(ctx context.Context, wanted map[string][]string) error {
	for i := x.layer; i >= 0 && len(wanted) > 0; i-- {
		links, err := x.fetchFrom(ctx, i, wanted)
		if err != nil {
			return err
		}
		followed, err := followLinks(wanted, links)
		if err != nil {
			return err
		}
		if followed {
			if _, err := x.fetchFrom(ctx, i, wanted); err != nil {
				return err
			}
		}
	}
	for target, links := range wanted {
		return fmt.Errorf("the hard link %q has no target: the image has no file %q", links[0], target)
	}
	return nil
}

// fetchFrom reads layer i for the wanted targets; those that it finds are
// wanted no more. It returns what the layer's hard links link to.
func (x *extraction) fetchFrom(ctx context.Context, i int, wanted map[string][]string) (links map[string]string, err error) {
	got := map[string]bool{}
	links = map[string]string{}
	_, err = x.read(ctx, openBlob(ctx, x.layers[i]), layer.Usage{}, func(ent layer.Entry, content *layer.Reader) error {
		x.dirs.trim()
		p, err := x.locate(ent.Path)
		if err != nil {
			return err
		}
		switch {
		case ent.Kind == layer.HardLink:
			links[p], err = x.locate(ent.Linkname)
		case wanted[p] != nil && (ent.Kind == layer.File || ent.Kind == layer.Symlink || ent.Kind == layer.Fifo):
			got[p] = true
			err = x.settle(x.writeLeaf(wanted[p][0], ent, content))
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	for target := range got {
		if err := x.linkAll(wanted[target]); err != nil {
			return nil, err
		}
		delete(wanted, target)
	}
	return links, nil
}

// followLinks replaces the wanted targets that are hard links by what these
// lead to in the end, and reports whether there were any.
func followLinks(wanted map[string][]string, links map[string]string) (followed bool, err error) {
	for target, names := range maps.Clone(wanted) {
		end := target
		for steps := 0; links[end] != ""; steps++ {
			if steps == len(links) {
				return false, fmt.Errorf("the hard link %q has no target: %q leads in a circle", names[0], target)
			}
			end = links[end]
		}
		if end != target {
			delete(wanted, target)
			wanted[end] = append(wanted[end], names...)
			followed = true
		}
	}
	return followed, nil
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
