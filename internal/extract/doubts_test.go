package extract_test

import (
	"archive/tar"
	"slices"
)

// doubts says which images the oracle decides nothing about.
type doubts struct {
	// unspecified is set when an image depends on what nobody defined, the
	// specification or the traps: any outcome is right then that leaves the
	// rest of the machine alone.
	unspecified string
	// known is set when Extract is known to do otherwise.
	known string

	givesWay func(p string, kind byte) bool // to the user's data

	hidden       int                 // the newest layer whose whiteouts have hidden something
	looking      int                 // the layer whose paths are looked at once more
	since        bool                // one of them passed what a layer above made a link
	gone, linked map[inLayer]bool    // what has lost a name in a layer, or got one by a hard link
	placed       []placed            // all entries so far
	links        []link              // the hard links of this layer to what is not taken
	named        map[string]int      // how many entries each path had
	names        map[*entry][]string // the paths that an entry has ever had
}

// inLayer is what a layer has done with a file.
type inLayer struct {
	*entry

	layer int
}

// placed is an entry and the path that it went to.
type placed struct {
	layer int
	e     entry
	p     string
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
func (o *oracle) doubtPut(p string, e entry, old *node) {
	if old == nil {
		return
	}
	if !old.isDir() || e.Typeflag != tar.TypeDir {
		o.doubtGone(old)
	}
	if o.doubts.givesWay != nil && o.doubts.givesWay(p, e.Typeflag) && (old.laid || old.Typeflag == tar.TypeChar) {
		o.doubts.unspecified = "the user's data is in the way of an entry in the place of others of the image"
	}
}

// doubtNew looks at a new node.
func (o *oracle) doubtNew(p string, n *node) {
	o.doubts.named[p]++
	o.doubts.names[n.entry] = append(o.doubts.names[n.entry], p)
	n.marks.gaveWay = o.doubts.givesWay != nil && o.doubts.givesWay(p, n.Typeflag)
}

// doubtPassed looks at a symbolic link that a path goes through.
func (o *oracle) doubtPassed(n *node) {
	if o.doubts.looking > 0 {
		o.doubts.since = o.doubts.since || n.from > o.doubts.looking
		return
	}
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
	o.doubtGone(n)
	for _, child := range n.children {
		o.doubtHidden(child)
	}
}

// doubtGone looks at what no longer has its place.
func (o *oracle) doubtGone(n *node) {
	if !n.marks.content || !n.laid {
		o.doubts.gone[inLayer{n.entry, o.layer}] = true
	}
	for _, child := range n.children {
		o.doubtGone(child)
	}
}

// doubtLinked looks at a hard link that was just made.
func (o *oracle) doubtLinked(l link, target *node) {
	l.node.marks.hard = true
	o.doubts.linked[inLayer{target.entry, o.layer}] = true
	if target.fixed {
		o.doubts.unspecified = "a hard link leads to a link of the host"
	}
	if target.Typeflag == tar.TypeChar {
		o.doubts.unspecified = "a hard link leads to a device that comes after it"
	}
	o.doubts.names[l.node.entry] = append(o.doubts.names[l.node.entry], l.p)
	target.marks.linked = o.layer
	if !target.laid {
		l.node.marks.content = true
		o.doubts.links = append(o.doubts.links, l)
	}
}

// doubtLayer looks at the hard links of a layer at its end: those that waited
// for their target, and those to what is not taken.
func (o *oracle) doubtLayer(waited []link) {
	for _, l := range waited {
		switch {
		case l.node.Typeflag != tar.TypeLink:
		case !l.node.laid:
			o.doubts.unspecified = "a hard link that is not taken has no target"
		case o.doubts.hidden == o.layer:
			o.doubts.unspecified = "a hard link has no target, which the layer's own whiteouts may have hidden"
		case slices.ContainsFunc(o.doubts.placed, func(e placed) bool { return e.layer < o.layer && e.p == l.target }):
			o.doubts.unspecified = "a hard link into a lower layer leads to what was deleted: extracting it may fail, the specification says"
		case o.doubts.named[l.target] > 0:
			o.doubts.unspecified = "a hard link has no target, which its own layer had and replaced"
		}
	}
	for _, l := range o.doubts.links {
		o.doubtPaths(l)
		for i := range o.layer + 1 {
			if at := (inLayer{l.node.entry, i}); o.doubts.gone[at] && o.doubts.linked[at] {
				o.doubts.unspecified = "a layer has a hard link to what is not taken, and something else in its place"
			}
		}
	}
	o.doubts.links, o.doubts.named = nil, map[string]int{}
}

// undecided says why any outcome is right, "" if it is not. Differences that
// are known count as such only if they are asked for.
func (o *oracle) undecided() string {
	if o.doubts.unspecified == "" && !*strict {
		return o.doubts.known
	}
	return o.doubts.unspecified
}

// doubtDevice looks at a hard link to a device.
func (o *oracle) doubtDevice(n, target *node, taken bool) {
	n.marks.content = !taken
	if target.marks.content {
		o.doubts.known = "a hard link leads to a device by way of one that is not taken"
	}
}

// doubtPaths looks at the paths at which the content of a hard link is looked
// for when its layer is read once more, and at those that lead there only now.
func (o *oracle) doubtPaths(l link) {
	defer func() { o.doubts.looking = 0 }()
	for _, e := range o.doubts.placed {
		o.doubts.looking, o.doubts.since = e.layer, false
		now, err := o.locate(e.e.Name)
		if err == nil && !o.doubts.since && now == e.p {
			continue
		}
		if o.doubts.since {
			now = ""
		}
		for _, name := range o.doubts.names[l.node.entry] {
			if name == now || name == e.p {
				if e.layer == o.layer {
					o.doubts.unspecified = "a layer has a symbolic link in the place of a directory of its own, or another link there, and a hard link by such a path"
				} else {
					o.doubts.unspecified = "a hard link into a lower layer leads to a path that leads elsewhere since: extracting it may fail, the specification says"
				}
			}
		}
	}
}
