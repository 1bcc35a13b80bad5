package extract

import "github.com/drengskapur/fastmcp-runner/internal/layer"

// maxDeferred bounds how many entries wait for their layer's turn in memory.
const maxDeferred = 10_000

// early is what a lane did ahead of its turn, while the layers below are still
// being applied. Nothing is known then of what they will bring, so that only
// such entries are placed whose outcome does not depend on it:
//
//   - Files, and hard links to files of the same layer, in directories that
//     the layer itself describes, all the way up from the root. Wherever a
//     lower layer leads such a path, the layer's own directories take it back.
//   - Where they replace something of the layers below, it is of their kind.
//
// Symbolic links, which would lead the paths of lower layers elsewhere, and
// what removes things, are deferred: they are placed at the beginning of the
// turn, which comes to the same, because nothing else of the layer is below
// them. At any other entry the lane waits for its turn.
//
// A lower layer whose entries come later finds these files and gives way where
// it would have been overwritten: see [lane.yield]. Where it has something of
// another kind, or a hard link to what gave way, the whole extraction begins
// anew, with one layer after the other: that is rare, and right in any case.
type early struct {
	dirs     map[string]bool // the directories that the layer described
	deferred []layer.Entry
	names    map[string]bool // the paths of deferred symbolic links and the like
}

func newEarly() *early { return &early{dirs: map[string]bool{}, names: map[string]bool{}} }

// holds reports whether the layer described the directory at p and all above.
func (e *early) holds(p string) bool { return p == "" || e.dirs[p] }

// placeAhead places an entry before the layer's turn has come, and reports
// whether it could.
func (x *lane) placeAhead(ent layer.Entry) (placed bool, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.dirs.trim()
	p := ent.Path
	if ent.Kind == layer.OpaqueWhiteout {
		return x.early.holds(p) && x.postpone(ent), nil
	}
	if p == "" {
		return true, nil
	}
	if !x.early.holds(parentOf(p)) || x.early.names[p] || x.early.dirs[p] && ent.Kind != layer.Dir {
		return false, nil
	}
	switch ent.Kind {
	case layer.Dir:
		return x.placeDirAhead(p, ent)
	case layer.File, layer.HardLink:
		return x.placeFileAhead(p, ent)
	case layer.Whiteout:
		return x.postpone(ent), nil
	case layer.Symlink, layer.Fifo, layer.Device, layer.Unknown:
		placed = x.postpone(ent)
		x.early.names[p] = placed
	case layer.OpaqueWhiteout:
	}
	return placed, nil
}

// postpone keeps an entry for the layer's turn, if there is room.
func (x *lane) postpone(ent layer.Entry) bool {
	if len(x.early.deferred) == maxDeferred {
		return false
	}
	x.early.deferred = append(x.early.deferred, ent)
	return true
}

func (x *lane) placeDirAhead(p string, ent layer.Entry) (placed bool, err error) {
	if n := x.tree.find(p); n != nil && (n.kind != layer.Dir || n.fixed) {
		return false, nil
	}
	x.early.dirs[p] = true
	if !x.opts.Wanted(p) {
		x.report.Excluded++
		x.claim(p)
		return true, nil
	}
	return true, x.settle(x.writeDir(p, ent))
}

func (x *lane) placeFileAhead(p string, ent layer.Entry) (placed bool, err error) {
	n := x.tree.find(p)
	if n != nil && n.kind != layer.File {
		return false, nil
	}
	if !x.wants(p, ent) {
		if n != nil && n.laid {
			return false, nil
		}
		x.report.Excluded++
		x.hideBelow(p)
		return true, nil
	}
	if ent.Kind == layer.HardLink {
		return x.placeLinkAhead(hardLink{path: p, target: ent.Linkname})
	}
	if x.isAbove(n) {
		x.countFile(ent)
		return true, nil
	}
	return true, x.settle(x.writeLeaf(p, ent))
}

func (x *lane) placeLinkAhead(l hardLink) (placed bool, err error) {
	if !x.early.holds(parentOf(l.target)) || x.early.names[l.target] || x.early.dirs[l.target] || within(l.path, l.target) {
		return false, nil
	}
	n := x.tree.find(l.target)
	switch {
	case n != nil && n.layer == x.layer && n.laid:
		if x.isAbove(x.tree.find(l.path)) {
			return true, nil
		}
		return true, x.settle(x.link(l))
	case x.opts.Wanted(l.target):
		return false, nil // of a lower layer, or still to come
	case x.hasNamed(l.path):
		return false, nil
	}
	x.pending = append(x.pending, l)
	return true, nil
}

// hideBelow notes a file at p that is not wanted, because it hides what the
// layers below have there.
func (x *lane) hideBelow(p string) {
	if n := x.claim(p); n.layer < x.layer {
		*n = node{kind: layer.File, layer: x.layer}
	}
}

// beginTurn places what was deferred.
func (x *lane) beginTurn() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	early := x.early
	x.early = nil
	x.dropHidden(x.tree.root)
	for p := range early.dirs {
		if x.tree.find(p) != nil {
			x.claim(p)
		}
	}
	if err := x.holdPending(); err != nil {
		return err
	}
	for _, ent := range early.deferred {
		if err := x.place(ent); err != nil {
			return atEntry(ent.Path, err)
		}
	}
	return nil
}

// holdPending keeps places for the links that wait, which could not be done
// ahead of the turn. Where the layer has another entry by now, that came later.
func (x *lane) holdPending() error {
	pending := x.pending
	x.pending = nil
	for _, l := range pending {
		givesWay, err := x.yield(l.path, layer.HardLink)
		if err == nil && !givesWay && !x.hasNamed(l.path) {
			err = x.settle(x.writeHardLink(l.path, l.target))
		}
		if err != nil {
			return atEntry(l.path, err)
		}
	}
	return nil
}

// hasNamed reports whether the layer has brought something to p.
func (x *lane) hasNamed(p string) bool {
	n := x.tree.find(p)
	return n != nil && n.layer == x.layer
}

// dropHidden removes what hideBelow noted: no layer below is left to hide
// anything of.
func (x *lane) dropHidden(n *node) {
	for name, child := range n.children {
		if child.kind == layer.File && !child.laid && child.layer == x.layer {
			delete(n.children, name)
		}
		x.dropHidden(child)
	}
}

// yield reports whether an entry of that kind gives way at p to what a layer
// above has placed there ahead of its turn. It is errInOrder if the one cannot
// be applied beside the other.
func (x *lane) yield(p string, kind layer.Kind) (givesWay bool, err error) {
	n, blocked := x.findAbove(p)
	switch kind {
	case layer.Whiteout, layer.OpaqueWhiteout, layer.Unknown:
		return false, nil
	case layer.Dir:
		blocked = blocked || n != nil && n.kind != layer.Dir
	case layer.File, layer.HardLink, layer.Fifo, layer.Device:
		blocked = blocked || n != nil && n.kind != layer.File
	case layer.Symlink:
		blocked = blocked || n != nil
	}
	if blocked {
		return false, errInOrder
	}
	return n != nil, nil
}

// findAbove returns the node at p if it is of a layer above, and whether such a
// layer has something on the way there that is no directory.
func (x *lane) findAbove(p string) (n *node, blocked bool) {
	n = x.tree.root
	for name := range elements(p) {
		if n.kind != layer.Dir && x.isAbove(n) {
			return nil, true
		}
		if n = n.children[name]; n == nil {
			return nil, false
		}
	}
	if !x.isAbove(n) {
		return nil, false
	}
	return n, false
}

// isAbove reports whether a layer above has named n, which may be nil.
func (x *lane) isAbove(n *node) bool {
	return n != nil && (n.layer > x.layer || n.above > x.layer)
}
