package extract

import (
	"errors"
	"io/fs"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/drengskapur/fastmcp-runner/internal/layer"
	"github.com/drengskapur/fastmcp-runner/internal/rootfs"
)

// impliedMode is the mode of a directory that no entry describes.
const impliedMode = 0o755

// errKept says that the user's data stands where the image wants to write.
var errKept = errors.New("the user's data stands there")

// place applies one entry in its turn. What could not be written for want of
// permission is collected, so that one error can name it all; the user's data
// wins over the image without an error.
func (x *lane) place(ent layer.Entry) error {
	x.dirs.trim()
	if ent.Kind == layer.OpaqueWhiteout {
		return x.opaque(ent.Path)
	}
	if ent.Path == "" {
		return nil // the root is the host's, whatever the image says of it
	}
	p, err := x.locate(ent.Path)
	if err != nil {
		return err
	}
	givesWay, err := x.yield(p, ent.Kind)
	if err != nil {
		return err
	}
	if givesWay {
		return x.giveWay(p, ent)
	}
	switch {
	case ent.Kind == layer.Whiteout:
		return x.whiteout(p)
	case !x.wants(p, ent):
		return x.exclude(p, ent)
	case x.meansLink(p, ent), x.meansItself(p, ent):
		return nil
	}
	return x.settle(x.write(p, ent))
}

// giveWay notes an entry in the place of which a layer above has put its own.
func (x *lane) giveWay(p string, ent layer.Entry) error {
	switch {
	case !x.wants(p, ent):
		x.report.Excluded++
	case ent.Kind == layer.Dir:
		x.claim(p)
	case ent.Kind == layer.HardLink:
		_, err := x.locate(ent.Linkname)
		return err
	case ent.Kind == layer.Device:
		x.report.Devices++
	default:
		x.countFile(ent)
	}
	return nil
}

// wants reports whether an entry is taken from the image.
func (x *lane) wants(p string, ent layer.Entry) bool {
	return x.opts.Wanted(p) && (ent.Kind == layer.Dir || !x.leadsToMount(p))
}

// countFile counts what the report says of a wanted file.
func (x *lane) countFile(ent layer.Entry) {
	if ent.Kind == layer.File {
		x.report.Files++
		x.report.Bytes += ent.Size
	}
}

// claim returns the node at p, made if need be, and marks it as this layer's.
func (x *lane) claim(p string) *node {
	if x.early != nil {
		return x.tree.claimAhead(p, x.layer)
	}
	return x.tree.claim(p, x.layer)
}

// locate returns where an entry of that name lies: its directory is free of
// symbolic links, and its last element is not followed.
func (x *lane) locate(name string) (string, error) { return x.locateAt(name, everybody) }

// locateAt is locate for an entry of an earlier layer.
func (x *lane) locateAt(name string, number int32) (string, error) {
	parent, err := x.tree.resolveAt(parentOf(name), number)
	if err != nil {
		return "", err
	}
	return join(parent, baseOf(name)), nil
}

// settle sorts the outcome of a write: done, given way, refused by the host,
// or an error that ends the extraction.
func (x *lane) settle(err error) error {
	switch {
	case errors.Is(err, errKept):
		x.report.Kept++
		return nil
	case x.refused.take(err):
		return nil
	}
	return explainSpace(err, x.written.Load())
}

// leadsToMount reports whether something is mounted below p.
func (x *lane) leadsToMount(p string) bool {
	return slices.ContainsFunc(x.opts.Mounted, func(mount string) bool { return within(mount, p) })
}

// exclude notes an entry that is not wanted.
func (x *lane) exclude(p string, ent layer.Entry) error {
	x.report.Excluded++
	if ent.Kind == layer.Unknown {
		return nil // nobody knows what it would hide
	}
	return x.leaveOut(p, ent)
}

// leaveOut does with an entry all but make it: what it replaces goes. A symbolic
// link is remembered, because paths through it lead elsewhere; a device, because
// hard links to it are left out, too.
func (x *lane) leaveOut(p string, ent layer.Entry) error {
	at, n := x.tree.nearest(p)
	switch {
	case n == nil:
	case n.kind == layer.Dir && ent.Kind == layer.Dir:
		x.claim(p)
	case ent.Kind == layer.HardLink && x.isItself(p, ent.Linkname):
		return nil
	default:
		if err := x.forget(at, n); err != nil {
			return err
		}
	}
	if ent.Kind == layer.Symlink || ent.Kind == layer.Device {
		n = x.claim(p)
		n.kind, n.target = ent.Kind, ent.Linkname
	}
	return nil
}

// isItself reports whether a hard link at p to target is one to itself, which
// says nothing.
func (x *lane) isItself(p, target string) bool {
	target, err := x.locate(target)
	return err == nil && target == p
}

// write brings a wanted entry to the disk and into the tree.
func (x *lane) write(p string, ent layer.Entry) error {
	switch ent.Kind {
	case layer.Dir:
		return x.writeDir(p, ent)
	case layer.HardLink:
		return x.writeHardLink(p, ent.Linkname)
	case layer.Device:
		x.report.Devices++
		return x.leaveOut(p, ent)
	case layer.Unknown:
		x.report.Unknown++
		return nil
	case layer.Symlink:
		return x.writeBehind(p, ent, x.writeLeaf(p, ent))
	case layer.File, layer.Fifo:
		return x.writeLeaf(p, ent)
	case layer.Whiteout, layer.OpaqueWhiteout:
	}
	return errors.New("internal error: not an entry that is written")
}

// writeDir makes the directory p. Its mode and times are set at the end: until
// then its owner must be able to write in it.
func (x *lane) writeDir(p string, ent layer.Entry) error {
	dir, err := x.openDir(parentOf(p))
	if err != nil {
		return err
	}
	n := x.tree.find(p)
	if x.isAbove(n) {
		x.claim(p) // that layer's mode and times are the ones to set
		return nil
	}
	name := baseOf(p)
	if info, err := dir.Stat(name); err == nil && info.IsDir() {
		keep := x.opts.Keep(p) && (n == nil || !n.laid)
		n = x.claimDir(p)
		if !keep { // the user's directory keeps its mode and times
			n.described = &description{ent, x.layer}
		}
		return nil
	}
	if err := x.makeDir(dir, p); err != nil {
		return err
	}
	x.layDir(p).described = &description{ent, x.layer}
	return nil
}

// writeLeaf makes a file, symbolic link or fifo at p in place of what is there.
func (x *lane) writeLeaf(p string, ent layer.Entry) error {
	dir, err := x.openDir(parentOf(p))
	if err != nil {
		return err
	}
	switch ent.Kind {
	case layer.File:
		err = x.writeFile(dir, p, ent)
	case layer.Symlink:
		err = x.make(dir, p, func() error { return dir.Symlink(ent.Linkname, baseOf(p)) })
	default:
		err = x.make(dir, p, func() error { return dir.Mkfifo(baseOf(p), ent.Mode&0o777) })
	}
	if err != nil {
		return err
	}
	if ent.Kind != layer.File {
		if err := x.own.setNamed(dir, p, ent, &x.report); err != nil {
			return err
		}
	}
	x.lay(p, ent.Kind, ent.Linkname)
	return nil
}

// lay notes that this layer put something other than a directory at p.
func (x *lane) lay(p string, kind layer.Kind, target string) {
	n := x.claim(p)
	*n = node{kind: kind, layer: x.layer, target: target, laid: true}
	x.opts.Laid(p)
}

// layDir notes that this layer made the directory p.
func (x *lane) layDir(p string) *node {
	n := x.claimDir(p)
	n.laid = true
	x.opts.Laid(p)
	return n
}

// claimDir claims p for a directory; what was left out there is forgotten.
func (x *lane) claimDir(p string) *node {
	n := x.claim(p)
	n.kind, n.target = layer.Dir, ""
	return n
}

// writeFile creates the regular file p, whose content is yet to come.
func (x *lane) writeFile(dir *rootfs.Dir, p string, ent layer.Entry) error {
	f, err := x.createFile(dir, p, ent.Mode)
	if err != nil {
		return err
	}
	x.created = &filling{file: f, path: p, ent: ent}
	x.countFile(ent)
	return nil
}

// createFile makes an empty file at p. Its mode is final when it is filled.
func (x *lane) createFile(dir *rootfs.Dir, p string, mode uint32) (f *rootfs.File, err error) {
	err = x.make(dir, p, func() error {
		f, err = dir.Create(baseOf(p), mode&0o777)
		return err
	})
	return f, err
}

// make calls create; if something stands in its place, it clears that and
// tries once more.
func (x *lane) make(dir *rootfs.Dir, p string, create func() error) error {
	err := create()
	if !errors.Is(err, fs.ErrExist) {
		return refusedAt(p, err)
	}
	if err := x.clear(dir, p); err != nil {
		return err
	}
	err = create()
	if errors.Is(err, fs.ErrExist) && x.opts.Keep(p) {
		return errKept // the user's files were left in a directory of the image
	}
	return refusedAt(p, err)
}

// makeDir makes the directory p in dir.
func (x *lane) makeDir(dir *rootfs.Dir, p string) error {
	err := x.make(dir, p, func() error { return dir.Mkdir(baseOf(p), impliedMode) })
	if refused, ok := errors.AsType[*refusal](err); ok {
		refused.isDir = true
	}
	return err
}

// openDir opens the directory at p for writing below it. Directories that no
// entry described are made on the way; what is in their place and no directory
// is replaced, a symbolic link too: those of the image were resolved before,
// and one that the image did not make must lead nothing away.
func (x *lane) openDir(p string) (*rootfs.Dir, error) {
	if dir := x.dirs.get(p); dir != nil {
		return dir, nil
	}
	parent, err := x.openDir(parentOf(p))
	if err != nil {
		return nil, err
	}
	dir, err := parent.Open(baseOf(p))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
		dir, err = x.implyDir(parent, p)
	}
	if err != nil {
		return nil, err
	}
	x.dirs.put(p, dir)
	return dir, nil
}

// implyDir makes the directory p, which the image has something below.
func (x *lane) implyDir(parent *rootfs.Dir, p string) (*rootfs.Dir, error) {
	if err := x.makeDir(parent, p); err != nil {
		return nil, err
	}
	x.layDir(p)
	return parent.Open(baseOf(p))
}
