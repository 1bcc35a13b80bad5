package extract_test

import (
	"archive/tar"
	"errors"
	"fmt"
	"maps"
	"path"
	"strings"
)

// oracle is an image as its layers leave it, applied one after the other in
// memory in the plainest way there is. Extract is held against it on random
// images, so it is written from the image specification (layer.md, "Applying
// Changesets" and "Whiteouts") and from the numbered traps alone. It has no
// disk, no limit and no speed. What must lie on the disk follows at the end:
// see disk.
//
// One tree holds the image with all that is excluded from the disk, because
// paths lead through excluded links and hard links to excluded files.
type oracle struct {
	// takes reports whether an entry of that type goes to the disk at p.
	takes func(p string, kind byte) bool
	// gives reports whether such an entry gives way to the user's data.
	gives func(p string, kind byte) bool
	// host is what the root held before and the image has not replaced.
	host map[string]fact
	// hostLinks says that some directories of the root are links of the host.
	hostLinks bool

	root     *node
	layer    int           // the layer that is applied, from 1; 0 is the host
	hidden   int           // the newest layer whose whiteouts have hidden something
	waiting  []pendingLink // hard links of this layer whose target is not there yet
	deferred []pendingLink
	symlinks bool
	isOwned  func(string) bool
	shared   map[*entry]bool
	// unspecified is set when the image depends on what nobody defined; any
	// result is right then.
	unspecified string
}

// node is one name in the tree. Names that are hard links to each other have
// the same entry. A directory that no entry describes has one without a name.
type node struct {
	*entry

	children map[string]*node
	from     int  // the layer that the entry is of
	layer    int  // the newest layer that names this or something below it
	passed   int  // the newest layer with an entry whose path went through this link
	linked   int  // the newest layer with a hard link to this
	laid     bool // it goes to the disk, or something below it does
	fixed    bool // a link of the host, which the image is laid over
	deferred bool
	gaveWay  bool
	linkname string
	inode    any // equal for names that must be one file on the disk
}

// pendingLink is a hard link to be made when its target is there.
type pendingLink struct {
	p    string
	node *node
}

func newOracle(takes func(string, byte) bool, host map[string]fact, hostLinks []string) *oracle {
	o := &oracle{takes: takes, host: maps.Clone(host), hostLinks: len(hostLinks) > 0, root: newDir(0), shared: map[*entry]bool{}}
	for _, p := range hostLinks {
		if link := host[p]; link.kind == tar.TypeSymlink {
			dir, name := o.makeDirs(parent(p), false), path.Base(p)
			dir.children[name] = &node{entry: &entry{Header: tar.Header{Typeflag: link.kind, Linkname: link.content}}, fixed: true}
		}
	}
	return o
}

// newDir is a directory that no entry describes.
func newDir(layer int) *node {
	return &node{entry: &entry{Header: tar.Header{Typeflag: tar.TypeDir}}, children: map[string]*node{}, from: layer, layer: layer}
}

// apply applies the next layer.
func (o *oracle) apply(entries []entry) error {
	o.layer++
	for _, e := range entries {
		if err := o.place(e); err != nil {
			return fmt.Errorf("entry %q: %w", e.Name, err)
		}
	}
	return o.linkWaiting()
}

// place applies one entry: a whiteout removes what the layers below have, and
// anything else takes the place of what is at its path.
func (o *oracle) place(e entry) error {
	p, err := clean(e.Name)
	switch {
	case e.Typeflag == tar.TypeXGlobalHeader:
		return nil
	case err != nil:
		return err
	case strings.Contains(strings.ReplaceAll("/"+p, "/.wh..wh..opq", ""), "/.wh..wh."):
		return nil // metadata of AUFS
	case strings.Contains("/"+parent(p)+"/", "/.wh."):
		return errors.New("below a whiteout")
	case p == "" && e.Typeflag != tar.TypeDir:
		return errors.New("not a directory")
	case e.Typeflag == tar.TypeSymlink && (e.Linkname == "" || len(e.Linkname) > 4095):
		return errors.New("no target")
	}
	if e.Typeflag == tar.TypeLink {
		if target, err := clean(e.Linkname); err != nil || target == "" {
			return fmt.Errorf("hard link to %q: %w", e.Linkname, err)
		}
	}
	dir, err := o.resolve(parent(p))
	if err != nil {
		return err
	}
	if hidden, ok := strings.CutPrefix(path.Base("/"+p), ".wh."); ok {
		return o.whiteout(o.at(dir), hidden)
	}
	if p == "" || e.Typeflag == unknownType {
		return nil // the root is the host's
	}
	return o.put(path.Join(dir, path.Base(p)), e)
}

// put puts an entry at p, which no link of the image leads away from.
func (o *oracle) put(p string, e entry) error {
	if o.isGiven(p, e) {
		return nil
	}
	laid := o.takes(p, e.Typeflag)
	if e.Typeflag == tar.TypeLink {
		var err error
		if e.Linkname, err = o.locate(e.Linkname); err != nil && laid {
			return err
		}
	}
	dir, name := o.makeDirs(parent(p), laid), path.Base(p)
	if laid {
		o.clearHost(p, e.Typeflag)
	}
	old := dir.children[name]
	if old != nil && !old.laid && old.Typeflag == tar.TypeSymlink && e.Typeflag == tar.TypeDir && laid {
		o.known("dir over a link on the way to a mount")
	}
	if !laid && old != nil && (old.laid || old.fixed) {
		if e.Typeflag == tar.TypeChar {
			o.known("device over file")
		}
		if o.gives != nil && o.gives(p, e.Typeflag) {
			o.unspecified = "the user's data is in the way of an entry in the place of others of the image"
		}
	}
	if e.Typeflag == tar.TypeDir && old != nil && old.Typeflag == tar.TypeDir {
		old.entry, old.from, old.layer, old.laid = &e, o.layer, o.layer, old.laid || laid
		return nil
	}
	n := &node{entry: &e, from: o.layer, layer: o.layer, laid: laid, inode: &e}
	switch e.Typeflag {
	case tar.TypeDir:
		n.children = map[string]*node{}
	case tar.TypeLink:
		if e.Linkname == p && old != nil && old.Typeflag != tar.TypeDir {
			old.from, old.layer = o.layer, o.layer // a link to itself
			if !old.laid {
				o.known("excluded self link")
			}
			return nil
		}
		delete(dir.children, name)
		n.linkname = e.Linkname
		if !o.link(n) {
			o.waiting = append(o.waiting, pendingLink{p, n})
			if old != nil {
				o.unspecified = "a hard link in the place of something else waits for its target"
			}
		}
		if n.deferred {
			o.deferred = append(o.deferred, pendingLink{p, n})
		}
	}
	if n.Typeflag == tar.TypeSymlink {
		o.symlinks = true
	}
	if o.isOwned != nil && o.isOwned(p) {
		o.shared[n.entry] = true
	}
	n.gaveWay = o.gives != nil && o.gives(p, e.Typeflag)
	dir.children[name] = n
	return nil
}

// makeDirs returns the directory at p, and makes it and those above it where
// there is none.
func (o *oracle) makeDirs(p string, laid bool) *node {
	n := o.root
	for at := range prefixes(p) {
		name := path.Base(at)
		if child := n.children[name]; child == nil || child.Typeflag != tar.TypeDir {
			if child != nil && (child.laid || child.fixed) && !laid {
				o.known("implied dir over a file")
			}
			n.children[name] = newDir(o.layer)
		}
		n = n.children[name]
		n.layer = o.layer
		if laid {
			n.laid = true
			o.clearHost(at, tar.TypeDir)
		}
	}
	return n
}

// clearHost removes what the host has in the place of an entry: everything,
// unless both are directories.
func (o *oracle) clearHost(p string, kind byte) {
	if f, ok := o.host[p]; ok && f.kind == tar.TypeDir && kind == tar.TypeDir {
		return
	}
	maps.DeleteFunc(o.host, func(at string, _ fact) bool { return isWithin(at, p) })
}

// whiteout removes a name from a directory, or all names, as the layers below
// left them.
func (o *oracle) whiteout(dir *node, name string) error {
	if name == "" || name == "." || name == ".." {
		return errors.New("a whiteout of nothing")
	}
	if dir == nil {
		return nil
	}
	for child := range dir.children {
		if child == name || name == ".wh..opq" {
			o.hide(dir, child)
		}
	}
	return nil
}

// hide removes dir/name but for what this layer names below it. A directory
// that stays for that alone is a new one.
func (o *oracle) hide(dir *node, name string) {
	n := dir.children[name]
	switch {
	case n.fixed:
		return
	case n.layer < o.layer:
		o.noteHidden(n)
		delete(dir.children, name)
		return
	}
	for child := range n.children {
		o.hide(n, child)
	}
	if n.from < o.layer {
		o.known("a whiteout makes a directory anew")
		below := n.children
		*n = *newDir(o.layer)
		n.children = below
		for _, child := range below {
			n.laid = n.laid || child.laid
		}
	}
}

// noteHidden looks for what has no defined meaning in a layer: a whiteout of
// what other entries of the same layer make use of.
func (o *oracle) noteHidden(n *node) {
	if n.passed == o.layer {
		o.unspecified = "a whiteout hides a link that an entry before it went through"
	}
	if n.linked == o.layer {
		o.unspecified = "a whiteout hides a file that an entry before it is a hard link to"
	}
	o.hidden = o.layer
	for _, child := range n.children {
		o.noteHidden(child)
	}
}

// link makes n a further name of its target, if that is there.
func (o *oracle) link(n *node) bool {
	target := o.at(n.Linkname)
	if target == nil || target.Typeflag == tar.TypeDir || target.Typeflag == tar.TypeLink {
		return false
	}
	n.entry, n.inode = target.entry, target.inode
	target.linked = o.layer
	if target.deferred && target.from == o.layer {
		o.known("link to deferred link")
	}
	if target.Typeflag == tar.TypeChar {
		o.known("link to device")
	}
	if !target.laid {
		n.deferred = true
		if target.Typeflag == tar.TypeFifo {
			o.known("link to an excluded fifo")
		}
		// Content from outside of what is taken, once for each layer.
		n.inode = [2]any{o.layer, target.entry}
	}
	return true
}

// linkWaiting makes the hard links whose target came later in the layer.
func (o *oracle) linkWaiting() error {
	waiting := o.waiting
	o.waiting = nil
	for _, w := range waiting {
		switch {
		case o.at(w.p) != w.node:
			o.unspecified = "a hard link that waits for its target was replaced in its own layer"
		case o.link(w.node):
		case o.at(w.node.Linkname) != nil && o.at(w.node.Linkname).Typeflag == tar.TypeLink:
			o.unspecified = "a hard link waits for one that waits"
		case !w.node.laid:
			o.unspecified = "a hard link that is not taken has no target"
		case o.hidden == o.layer:
			o.unspecified = "a hard link has no target, which the layer's own whiteouts may have hidden"
		default:
			if !o.takes(w.node.Linkname, tar.TypeReg) {
				o.known("missing target in excluded")
			}
			return fmt.Errorf("the hard link %q has no target %q", w.p, w.node.Linkname)
		}
	}
	for _, w := range o.deferred {
		if o.at(w.p) != w.node {
			o.known("a hard link that waits overrides what comes after it")
		}
		if o.symlinks {
			o.known("content is looked for with today's links")
		}
		if t := o.at(w.node.linkname); t == nil || t.entry != w.node.entry {
			o.known("excluded content changed after the link")
		}
	}
	o.deferred = nil
	return nil
}

func (o *oracle) known(what string) {
	if !*strict {
		o.unspecified = what
	}
}

// locate returns the path that the target of a hard link means.
func (o *oracle) locate(linkname string) (string, error) {
	p, err := clean(linkname)
	if err != nil {
		return "", err
	}
	dir, err := o.resolve(parent(p))
	return path.Join(dir, path.Base(p)), err
}

// at returns the node at p, nil if there is none. It follows no link.
func (o *oracle) at(p string) *node {
	n := o.root
	for at := range prefixes(p) {
		if n = n.children[path.Base(at)]; n == nil {
			return nil
		}
	}
	return n
}

// resolve follows the symbolic links of p as chroot(2) would. What is missing
// on the way is taken for a directory.
func (o *oracle) resolve(p string) (string, error) {
	at, todo, links := "/", strings.Split(p, "/"), 0
	for len(todo) > 0 {
		next := path.Join(at, todo[0])
		todo = todo[1:]
		n := o.at(next[1:])
		if n == nil || n.Typeflag != tar.TypeSymlink {
			at = next
			continue
		}
		if links++; links > 40 {
			return "", errors.New("too many symbolic links")
		}
		n.passed = o.layer
		if n.gaveWay {
			o.unspecified = "a path leads through a link that gave way to the user's data"
		}
		if n.deferred || n.linkname != "" && !n.laid {
			o.known("path through hard link to excluded link")
		}
		if path.IsAbs(n.Linkname) {
			at = "/"
		}
		todo = append(strings.Split(n.Linkname, "/"), todo...)
	}
	return at[1:], nil
}

// isGiven reports whether the host's links make an entry at p needless: there
// is the same link, or one to what the entry says is a directory, or the entry
// is a link to its own place by way of such a link.
func (o *oracle) isGiven(p string, e entry) bool {
	n := o.at(p)
	if n == nil || !o.hostLinks {
		return false
	}
	leadsTo := func(target string) string {
		if !path.IsAbs(target) {
			target = path.Join("/", parent(p), target)
		}
		return path.Clean(target)
	}
	if n.fixed {
		return e.Typeflag == tar.TypeDir || e.Typeflag == tar.TypeSymlink && leadsTo(e.Linkname) == leadsTo(n.Linkname)
	}
	if e.Typeflag != tar.TypeSymlink || n.Typeflag == tar.TypeSymlink {
		return false
	}
	end, err := o.resolve(leadsTo(e.Linkname))
	return err == nil && end == p
}

// clean returns a name of an archive as a path below the root, "" for the root.
func clean(name string) (string, error) {
	depth := 0
	for element := range strings.SplitSeq(name, "/") {
		switch {
		case element == "" || element == ".":
		case element == "..":
			depth--
		case len(element) > 255:
			return "", errors.New("too long")
		default:
			depth++
		}
		if depth < 0 {
			return "", errors.New("outside of the root")
		}
	}
	p := path.Clean("/" + name)[1:]
	if name == "" || len(p) > 4095 || strings.Contains(name, "\x00") {
		return "", errors.New("not a name")
	}
	return p, nil
}

// parent returns the directory of p, "" for the root.
func parent(p string) string { return path.Dir("/" + p)[1:] }

// prefixes yields a, a/b and a/b/c for a/b/c; nothing for the root.
func prefixes(p string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for i := range len(p) + 1 {
			if p != "" && (i == len(p) || p[i] == '/') && !yield(p[:i]) {
				return
			}
		}
	}
}

// isWithin reports whether p is dir or lies below it.
func isWithin(p, dir string) bool { return p == dir || strings.HasPrefix(p, dir+"/") }
