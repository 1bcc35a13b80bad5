package extract

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

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
func (x *lane) writeHardLink(p, target string) error {
	target, err := x.locate(target)
	if err != nil {
		return err
	}
	link := hardLink{path: p, target: target}
	if p != target && (within(p, target) || within(target, p)) {
		return fmt.Errorf("the hard link has no target: it and %q cannot both exist", target)
	}
	if x.hasFile(target) {
		return x.link(link)
	}
	if n := x.tree.find(target); n != nil && n.kind == layer.HardLink {
		if p == target {
			return nil
		}
		link.target = n.target // both wait for the same
	}
	if x.mayBeLost(target) {
		return errInOrder
	}
	return x.hold(link)
}

// hold keeps the place of a link that waits: what it replaces goes, and what
// the layer has there later replaces it.
func (x *lane) hold(l hardLink) error {
	dir, err := x.openDir(parentOf(l.path))
	if err != nil {
		return err
	}
	if _, err := dir.Stat(baseOf(l.path)); err == nil {
		if err := x.clear(dir, l.path); err != nil {
			return err
		}
	}
	x.tree.remove(l.path)
	n := x.claim(l.path)
	n.kind, n.target = layer.HardLink, l.target
	x.pending = append(x.pending, l)
	return nil
}

// holds reports whether the place of a link is still kept for it.
func (x *lane) holds(l hardLink) bool {
	n := x.tree.find(l.path)
	return n != nil && n.kind == layer.HardLink && n.target == l.target
}

// hasFile reports whether what the image has at p by now can be linked.
func (x *lane) hasFile(p string) bool {
	n := x.tree.find(p)
	return n != nil && n.kind != layer.Dir && (n.laid || n.kind == layer.Device) && !x.isAbove(n)
}

// link makes the link, or a copy where the file system has no link to give:
// across a mount point, or where protected_hardlinks forbids it (proc(5)). The
// source is opened below its own directory, never by an unchecked path.
func (x *lane) link(l hardLink) error {
	if l.path == l.target {
		return nil
	}
	if x.tree.find(l.target).kind == layer.Device {
		return x.write(l.path, layer.Entry{Path: l.path, Kind: layer.Device})
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
	x.tree.find(l.path).linked = true
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
func (x *lane) copy(from, to *rootfs.Dir, l hardLink) error {
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
func (x *lane) copyFile(dir *rootfs.Dir, p string, ent layer.Entry, src io.Reader) error {
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
func (x *lane) placePending(ctx context.Context) error {
	wanted, err := x.linkPending()
	if err != nil {
		return err
	}
	return x.fetchContent(ctx, wanted)
}

// linkPending makes the pending links whose target is there by now. It returns
// the others by their targets, whose content has to be fetched.
func (x *lane) linkPending() (wanted map[string][]string, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	wanted = map[string][]string{}
	waiting := map[string]string{}
	for _, l := range x.pending {
		if x.holds(l) {
			wanted[l.target] = append(wanted[l.target], l.path)
			waiting[l.path] = l.target
		}
	}
	if _, err := followLinks(wanted, waiting); err != nil {
		return nil, err
	}
	for target, names := range wanted {
		switch {
		case x.hasFile(target):
			if err := x.linkAll(names, target); err != nil {
				return nil, err
			}
			delete(wanted, target)
		case x.mayBeLost(target):
			return nil, errInOrder
		case x.opts.Wanted(target) && !x.opts.Keep(target) && !x.leadsToMount(target):
			return nil, fmt.Errorf("the hard link %q has no target: the image has no file %q", names[0], target)
		}
	}
	return wanted, nil
}

// mayBeLost reports whether there may have been a file at p, by this layer or
// one below, that gave way to a layer above before its turn.
func (x *lane) mayBeLost(p string) bool {
	return x.opts.Wanted(p) && x.isAbove(x.tree.find(p))
}

// fetchContent gives hard links whose target is not laid the target's content:
// one link becomes the file, the others link to it. For that the layer is read
// once more, and those below it as long as a target is missing, since a link
// may reach into lower layers. A target that is itself a hard link takes a
// second read of its layer, and no more: by then the end of the chain is known.
func (x *lane) fetchContent(ctx context.Context, wanted map[string][]string) error {
	for i := x.layer; i > 0 && len(wanted) > 0; i-- {
		found, links, err := x.fetchFrom(ctx, i, wanted)
		if err != nil {
			return err
		}
		followed, err := followLinks(wanted, links)
		if err == nil && followed {
			err = x.linkFound(wanted, found)
		}
		if err == nil && followed && len(wanted) > 0 {
			_, _, err = x.fetchFrom(ctx, i, wanted)
		}
		if err != nil {
			return err
		}
	}
	for target, links := range wanted {
		return fmt.Errorf("the hard link %q has no target: the image has no file %q", links[0], target)
	}
	return nil
}

// linkFound links names to what was found for others: the targets of both have
// turned out to be one file.
func (x *lane) linkFound(wanted, found map[string][]string) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	for target, names := range wanted {
		first := slices.IndexFunc(found[target], x.hasFile)
		if first < 0 {
			continue
		}
		if err := x.linkAll(names, found[target][first]); err != nil {
			return err
		}
		delete(wanted, target)
	}
	return nil
}

// fetchFrom reads layer i for the wanted targets; those that it finds are
// wanted no more. It returns them, and what the layer's hard links link to.
func (x *lane) fetchFrom(ctx context.Context, i int32, wanted map[string][]string) (found map[string][]string, links map[string]string, err error) {
	found = map[string][]string{}
	links = map[string]string{}
	err = x.read(ctx, i, countNothing, func(ent layer.Entry) error {
		x.mu.Lock()
		defer x.mu.Unlock()
		x.dirs.trim()
		p, err := x.locateAt(ent.Path, i)
		if err != nil {
			return nil // what it was led through is gone, and so is the entry
		}
		switch {
		case ent.Kind == layer.HardLink:
			target, err := x.locateAt(ent.Linkname, i)
			if err == nil && !slices.Contains(wanted[p], target) { // what links to p is p itself
				delete(found, p)
				links[p] = target
			}
		case wanted[p] != nil && (ent.Kind == layer.File || ent.Kind == layer.Symlink || ent.Kind == layer.Fifo || ent.Kind == layer.Device):
			found[p] = wanted[p]
			delete(links, p)
			return x.placeFetched(wanted[p], ent)
		}
		return nil
	})
	for target := range found {
		delete(wanted, target)
	}
	return found, links, err
}

// placeFetched makes the first of some names the file that an entry describes,
// and links the others to it.
func (x *lane) placeFetched(names []string, ent layer.Entry) error {
	for i, name := range names {
		if err := x.settle(x.write(name, ent)); err != nil {
			return err
		}
		if x.hasFile(name) { // or else it gave way to the user's data
			return x.linkAll(names[i+1:], name)
		}
	}
	return nil
}

// linkAll links all names to target.
func (x *lane) linkAll(names []string, target string) error {
	for _, name := range names {
		if err := x.settle(x.link(hardLink{path: name, target: target})); err != nil {
			return err
		}
	}
	return nil
}

// followLinks replaces the wanted targets that are hard links by what these
// lead to in the end, and reports whether there were any. It shortens links on
// the way, so that no part of a long chain is followed for every target.
func followLinks(wanted map[string][]string, links map[string]string) (followed bool, err error) {
	for target, names := range maps.Clone(wanted) {
		end, passed := target, []string(nil)
		for links[end] != "" {
			if len(passed) == len(links) {
				return false, fmt.Errorf("the hard link %q has no target: %q leads in a circle", names[0], target)
			}
			passed = append(passed, end)
			end = links[end]
		}
		for _, p := range passed {
			links[p] = end
		}
		if end != target {
			delete(wanted, target)
			wanted[end] = append(wanted[end], names...)
			followed = true
		}
	}
	return followed, nil
}
