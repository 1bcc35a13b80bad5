package extract_test

import "archive/tar"

// doubts says which images the oracle decides nothing about.
type doubts struct {
	// unspecified is set when an image depends on what nobody defined, the
	// specification or the traps: any outcome is right then that leaves the
	// rest of the machine alone.
	unspecified string
	// known is set when Extract is known to do otherwise.
	known string

	givesWay func(p string, kind byte) bool // to the user's data

	hidden   int                 // the newest layer whose whiteouts have hidden something
	links    []link              // the hard links of this layer to what is not taken
	symlinks bool                // the image has symbolic links
	named    map[string]int      // how many entries each path had
	names    map[*entry][]string // the paths that an entry has ever had
}

// marks are what doubts has to know of a node.
type marks struct {
	passed  int  // the newest layer with an entry whose path went through this link
	linked  int  // the newest layer with a hard link to this
	gaveWay bool // it gave way to the user's data
	hard    bool // it is a hard link
	content bool // it is a hard link to what is not taken
}

// doubtPut looks at an entry that takes the place of old.
func (o *oracle) doubtPut(p string, e entry, old *node, laid bool) {
	switch {
	case old == nil:
	case o.doubts.givesWay != nil && o.doubts.givesWay(p, e.Typeflag) && old.laid:
		o.doubts.unspecified = "the user's data is in the way of an entry in the place of others of the image"
	case e.Typeflag == tar.TypeChar && (old.laid || old.fixed):
		o.doubts.known = "a device leaves what it replaces"
	case laid && !old.laid && old.Typeflag == tar.TypeSymlink && e.Typeflag == tar.TypeDir:
		o.doubts.known = "a directory leaves a link that was left out on the way to a mount"
	}
}

// doubtNew looks at a new node.
func (o *oracle) doubtNew(p string, n *node) {
	if o.doubts.named == nil {
		o.doubts.named, o.doubts.names = map[string]int{}, map[*entry][]string{}
	}
	o.doubts.named[p]++
	o.doubts.names[n.entry] = append(o.doubts.names[n.entry], p)
	o.doubts.symlinks = o.doubts.symlinks || n.Typeflag == tar.TypeSymlink
	n.marks.gaveWay = o.doubts.givesWay != nil && o.doubts.givesWay(p, n.Typeflag)
}

// doubtImplied looks at what has to be a directory and is none.
func (o *oracle) doubtImplied(n *node, laid bool) {
	if n != nil && (n.laid || n.fixed) && !laid {
		o.doubts.known = "what is not taken leaves a file in the place of its directory"
	}
}

// doubtPassed looks at a symbolic link that a path goes through.
func (o *oracle) doubtPassed(n *node) {
	n.marks.passed = o.layer
	if n.marks.gaveWay {
		o.doubts.unspecified = "a path leads through a link that gave way to the user's data"
	}
	if n.marks.hard && (n.marks.content || !n.laid) {
		o.doubts.known = "a path leads through a hard link to a symbolic link, and one of them is not taken"
	}
}

// doubtMissing looks at the hard links without a target when all is applied.
func (o *oracle) doubtMissing() {
	for _, l := range o.missing {
		if o.at(l.p) != l.node {
			o.doubts.unspecified = "a hard link without a target was replaced by a layer above"
		}
	}
}

// doubtHidden looks at what a whiteout hides.
func (o *oracle) doubtHidden(n *node) {
	if n.marks.passed == o.layer {
		o.doubts.unspecified = "a whiteout hides a link that an entry before it went through"
	}
	if n.marks.linked == o.layer {
		o.doubts.unspecified = "a whiteout hides a file that an entry before it is a hard link to"
	}
	o.doubts.hidden = o.layer
	for _, child := range n.children {
		o.doubtHidden(child)
	}
}

func (o *oracle) doubtKept() {
	o.doubts.known = "a directory keeps its mode when a whiteout hides all that the layers below have of it"
}

func (o *oracle) doubtSame(n *node) {
	if !n.laid {
		o.doubts.known = "a file that is not taken has a hard link to itself"
	}
}

// doubtLinked looks at a hard link that was just made.
func (o *oracle) doubtLinked(l link, target *node) {
	l.node.marks.hard = true
	o.doubts.names[l.node.entry] = append(o.doubts.names[l.node.entry], l.p)
	if target.marks.content && target.from == o.layer {
		o.doubts.known = "a hard link leads to one that waits for its content"
	}
	if target.Typeflag == tar.TypeChar {
		o.doubts.known = "a hard link leads to a device"
	}
	target.marks.linked = o.layer
	if !target.laid {
		l.node.marks.content = true
		o.doubts.links = append(o.doubts.links, l)
	}
}

// doubtLink looks at a hard link in the place of old.
func (o *oracle) doubtLink(l link, old *node) {
	if l.node.Typeflag == tar.TypeLink && old != nil {
		o.doubts.unspecified = "a hard link in the place of something else waits for its target"
	}
}

// doubtLayer looks at the hard links of a layer at its end.
func (o *oracle) doubtLayer() {
	for _, l := range o.waiting {
		target := o.at(l.target)
		switch {
		case o.at(l.p) != l.node:
			o.doubts.unspecified = "a hard link that waits for its target was replaced in its own layer"
		case l.node.Typeflag != tar.TypeLink:
		case target != nil && target.Typeflag == tar.TypeLink:
			o.doubts.unspecified = "a hard link waits for one that waits"
		case !l.node.laid:
			o.doubts.unspecified = "a hard link that is not taken has no target"
		case o.doubts.hidden == o.layer:
			o.doubts.unspecified = "a hard link has no target, which the layer's own whiteouts may have hidden"
		case o.doubts.named[l.target] > 0 && !o.takes(l.target, tar.TypeReg):
			o.doubts.known = "a hard link finds what was deleted and had not been taken"
		}
	}
	for _, l := range o.doubts.links {
		if o.doubts.symlinks {
			o.doubts.known = "the content of a hard link is looked for by paths as they are at the end of its layer"
		}
		if o.at(l.p) != l.node {
			o.doubts.known = "a hard link that waits for its content overrides what its own layer has there later"
		}
		for _, p := range o.doubts.names[l.node.entry] {
			if o.doubts.named[p] > 1 || o.at(p) == nil {
				o.doubts.known = "the content of a hard link is looked for under a name that has several"
			}
		}
	}
	o.doubts.links = nil
}

// undecided says why any outcome is right, "" if it is not. Differences that
// are known count as such only if they are asked for.
func (o *oracle) undecided() string {
	if o.doubts.unspecified == "" && !*strict {
		return o.doubts.known
	}
	return o.doubts.unspecified
}
