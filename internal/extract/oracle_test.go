package extract_test

import (
	"archive/tar"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// oracle is an image as its layers leave it, applied one after the other in
// memory in the plainest way there is. Extract is held against it on random
// images, so it is written from the image specification (layer.md, "Applying
// Changesets" and "Whiteouts") and from the numbered traps alone. It has no
// disk, no limit and no speed. What must lie on the disk follows at the end:
// see disk.
//
// One tree holds the whole image, with what is not taken, because paths lead
// through links and hard links lead to files that are not taken.
type oracle struct {
	root  *node
	layer int // the number of the layer that is applied, from 1; 0 is the host

	// takes reports whether an entry of that type goes to the disk at p.
	takes func(p string, kind byte) bool
	// host is what lies below the root and is not the image's.
	host map[string]fact
	// hasLinks says that some directories of the root are links of the host.
	hasLinks bool

	waiting []link // the hard links of this layer whose target is not there yet
	missing []link // those of all layers whose target never came
	doubts  doubts
}

// node is one name in the tree. The names of one file have the same entry. A
// directory that no entry describes has one without a name.
type node struct {
	*entry

	children map[string]*node
	from     int  // the layer that the entry is of
	layer    int  // the newest layer that names this or something below it
	laid     bool // it goes to the disk, or something below it does
	fixed    bool // a link of the host, which the image is laid over
	inode    any  // equal for names that must be one file on the disk
	marks    marks
}

// link is a hard link. That it is not made shows by its entry's type.
type link struct {
	p, target string
	node      *node
}

func newOracle(takes func(string, byte) bool, host map[string]fact, hostLinks []string) *oracle {
	o := &oracle{root: newDir(0), takes: takes, host: maps.Clone(host), hasLinks: len(hostLinks) > 0}
	o.doubts.named, o.doubts.names = map[string]int{}, map[*entry][]string{}
	o.doubts.gone, o.doubts.linked = map[inLayer]bool{}, map[inLayer]bool{}
	for _, p := range hostLinks {
		if f := host[p]; f.kind == tar.TypeSymlink {
			e := entry{Header: tar.Header{Typeflag: tar.TypeSymlink, Linkname: f.content}}
			o.makeDirs(parent(p), false).children[path.Base(p)] = &node{entry: &e, fixed: true}
		}
	}
	return o
}

func newDir(layer int) *node {
	return &node{entry: &entry{Header: tar.Header{Typeflag: tar.TypeDir}}, children: map[string]*node{}, from: layer, layer: layer}
}

func (n *node) isDir() bool { return n != nil && n.Typeflag == tar.TypeDir }

// apply applies all layers, the lowest first.
func (o *oracle) apply(layers [][]entry) error {
	for _, layer := range layers {
		o.layer++
		for _, e := range layer {
			if err := o.place(e); err != nil {
				return fmt.Errorf("entry %q: %w", e.Name, err)
			}
		}
		o.linkWaiting()
	}
	o.doubtMissing()
	for _, l := range o.missing {
		if o.at(l.p) == l.node {
			return fmt.Errorf("the hard link %q has no target %q", l.p, l.target)
		}
	}
	return nil
}

// place applies one entry. A whiteout removes what the layers below have;
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
		return errors.New("not a target")
	case e.Typeflag == tar.TypeLink:
		if target, err := clean(e.Linkname); err != nil || target == "" {
			return fmt.Errorf("a hard link to %q", e.Linkname)
		}
	}
	dir, err := o.resolve(parent(p))
	if err != nil {
		return err
	}
	if hidden, ok := strings.CutPrefix(path.Base("/"+p), ".wh."); ok {
		return o.whiteout(dir, hidden)
	}
	if p == "" || e.Typeflag == unknownType {
		return nil // the root is the host's
	}
	p = path.Join(dir, path.Base(p))
	o.doubts.placed = append(o.doubts.placed, placed{o.layer, e, p})
	if o.isGiven(p, e) {
		return nil
	}
	if e.Typeflag == tar.TypeLink {
		return o.putLink(p, e)
	}
	o.put(p, e)
	return nil
}

// put puts an entry at p and returns its node. Two directories become one that
// the later entry describes.
func (o *oracle) put(p string, e entry) *node {
	laid := o.takes(p, e.Typeflag)
	dir, name := o.makeDirs(parent(p), laid), path.Base(p)
	if laid {
		o.clearHost(p, e.Typeflag)
	}
	old := dir.children[name]
	o.doubtPut(p, e, old)
	n := &node{entry: &e, from: o.layer, layer: o.layer, laid: laid, inode: &e}
	if e.Typeflag == tar.TypeDir {
		n.children = map[string]*node{}
		if old.isDir() {
			n.children, n.laid = old.children, laid || old.laid
		}
	}
	dir.children[name] = n
	o.doubtNew(p, n)
	return n
}

// makeDirs returns the directory at p, and makes it and those above it where
// there is none.
func (o *oracle) makeDirs(p string, laid bool) *node {
	n := o.root
	for at := range prefixes(p) {
		child := n.children[path.Base(at)]
		if !child.isDir() {
			if child != nil {
				o.doubtGone(child)
			}
			child = newDir(o.layer)
			n.children[path.Base(at)] = child
		}
		n = child
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
	if f, ok := o.host[p]; ok && (f.kind != tar.TypeDir || kind != tar.TypeDir) {
		maps.DeleteFunc(o.host, func(at string, _ fact) bool { return isWithin(at, p) })
	}
}

// putLink puts a hard link at p: a further name of the file at its target. A
// target that is not there may follow until the end of the layer.
func (o *oracle) putLink(p string, e entry) error {
	target, err := o.locate(e.Linkname)
	if err != nil && o.takes(p, e.Typeflag) {
		return err
	}
	old := o.at(p)
	if target == p && old != nil && !old.isDir() {
		old.from, old.layer = o.layer, o.layer // what it means is there
		if old.fixed {
			o.doubts.unspecified = "a hard link leads to a link of the host"
		}
		return nil
	}
	there := o.at(target)
	if (isWithin(p, target) || isWithin(target, p)) && p != target && o.takes(p, e.Typeflag) {
		return fmt.Errorf("%q and %q cannot both exist", p, target)
	}
	if there != nil && there.Typeflag == tar.TypeChar {
		n := o.put(p, *there.entry) // a further name of a device is no more taken than the first
		o.doubtDevice(n, there, o.takes(p, e.Typeflag))
		return nil
	}
	l := link{p: p, target: target, node: o.put(p, e)}
	if !o.makeLink(l) {
		o.waiting = append(o.waiting, l)
	}
	return nil
}

// makeLink makes a hard link if its target is there.
func (o *oracle) makeLink(l link) bool {
	target := o.at(l.target)
	if target == nil || target.isDir() || target.Typeflag == tar.TypeLink {
		return false
	}
	l.node.entry, l.node.inode = target.entry, target.inode
	if !target.laid {
		l.node.inode = [2]any{o.layer, target.entry} // a copy, once for each layer
	}
	o.doubtLinked(l, target)
	return true
}

// linkWaiting makes the hard links whose target came later in the layer.
func (o *oracle) linkWaiting() {
	made := func(l link) bool { return o.at(l.p) != l.node || o.makeLink(l) }
	waited := slices.Clone(o.waiting)
	for left := -1; left != len(o.waiting); { // one may wait for another
		left = len(o.waiting)
		o.waiting = slices.DeleteFunc(o.waiting, made)
	}
	for _, l := range o.waiting {
		if l.node.laid {
			o.missing = append(o.missing, l)
		}
	}
	o.doubtLayer(waited)
	o.waiting = nil
}

// whiteout removes a name from a directory, or all names, as the layers below
// left them.
func (o *oracle) whiteout(dir, name string) error {
	if name == "" || name == "." || name == ".." {
		return errors.New("a whiteout of nothing")
	}
	if n := o.at(dir); n != nil {
		for child := range n.children {
			if child == name || name == ".wh..opq" {
				o.hide(n, path.Join(dir, child))
			}
		}
	}
	return nil
}

// hide removes p, a child of dir, but for what this layer names below it. A
// directory that stays for that alone is a new one.
func (o *oracle) hide(dir *node, p string) {
	n := dir.children[path.Base(p)]
	switch {
	case n.fixed:
		return
	case n.layer < o.layer:
		o.doubtHidden(n)
		delete(dir.children, path.Base(p))
		return
	}
	for child := range n.children {
		o.hide(n, path.Join(p, child))
	}
	if n.isDir() && (n.from < o.layer || n.Name == "" || !o.takes(p, n.Typeflag)) {
		anew := newDir(o.layer)
		anew.children = n.children
		for _, child := range n.children {
			anew.laid = anew.laid || child.laid
		}
		dir.children[path.Base(p)] = anew
	}
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

// locate returns the path that the target of a hard link means.
func (o *oracle) locate(target string) (string, error) {
	p, err := clean(target)
	if err != nil {
		return "", err
	}
	dir, err := o.resolve(parent(p))
	return path.Join(dir, path.Base(p)), err
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
		if path.IsAbs(n.Linkname) {
			at = "/"
		}
		todo = append(strings.Split(n.Linkname, "/"), todo...)
		o.doubtPassed(n)
	}
	return at[1:], nil
}

// isGiven reports whether the host's links make an entry at p needless: there
// is the same link, or one to what the entry says is a directory, or the entry
// is a link to its own place by way of such a link.
func (o *oracle) isGiven(p string, e entry) bool {
	n := o.at(p)
	if n == nil || !o.hasLinks {
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

// each visits all nodes below n, which is at p.
func (n *node) each(p string, visit func(p string, n *node)) {
	for name, child := range n.children {
		visit(path.Join(p, name), child)
		child.each(path.Join(p, name), visit)
	}
}
