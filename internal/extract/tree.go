package extract

import (
	"fmt"
	"math"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/drengskapur/fastmcp-runner/internal/layer"
)

// maxLinks is how many symbolic links one resolution follows before ELOOP, as
// in path_resolution(7).
const maxLinks = 40

// tree is the image as its layers have described it so far: every wanted path,
// and of the excluded ones the symbolic links and devices, because a path below
// the one means another path, and a hard link to the other is not made. It answers where a path leads and which layer it belongs to;
// it never touches the disk.
type tree struct{ root *node }

// node is one path of the image.
type node struct {
	kind     layer.Kind
	fixed    bool   // a Symlink of the host, over which the image is laid
	laid     bool   // this extraction made it on the disk
	linked   bool   // as a hard link
	layer    int32  // the newest layer that named this path or one below it
	above    int32  // of a Dir: the newest one that named it ahead of its turn
	hidden   int32  // of a Dir: the newest one that hid what those below it have in it
	target   string // of a Symlink
	children map[string]*node

	described *description // of a Dir: the last one, to be set at the end
}

// description is the entry of a directory, and the layer that it is of.
type description struct {
	layer.Entry

	layer int32
}

// nobody is less than the number of any layer, everybody is no less than any.
const (
	nobody    = 0
	everybody = math.MaxInt32
)

func newTree() *tree { return &tree{root: &node{kind: layer.Dir}} }

// find returns the node at p, nil if the image has none. It follows no link.
func (t *tree) find(p string) *node {
	n := t.root
	for name := range elements(p) {
		if n = n.children[name]; n == nil {
			return nil
		}
	}
	return n
}

// nearest returns the node at p, nil if the image has none, or else the first on
// the way there that is no directory, with its path.
func (t *tree) nearest(p string) (at string, n *node) {
	n = t.root
	end := 0
	for name := range elements(p) {
		if n.kind != layer.Dir {
			return p[:end-1], n
		}
		end += len(name) + 1
		if n = n.children[name]; n == nil {
			break
		}
	}
	return p, n
}

// resolve returns the path free of symbolic links to which p leads in the
// image, with the semantics of chroot(2): absolute targets and surplus ".."
// stay inside the root. Elements that the image has not named stay as they are.
func (t *tree) resolve(p string) (string, error) { return t.resolveAt(p, everybody) }

// resolveAt is resolve for a path of an earlier layer: what a layer above it
// has since made a link there is an error.
func (t *tree) resolveAt(p string, number int32) (string, error) {
	if !t.passesLink(p) {
		return p, nil
	}
	pending := strings.Split(p, "/")
	var names []string
	nodes := []*node{t.root} // of the root and of each of names, nil if the image has none
	for links := 0; len(pending) > 0; {
		name := pending[0]
		pending = pending[1:]
		switch name {
		case "", ".":
			continue
		case "..":
			names = names[:max(0, len(names)-1)]
			nodes = nodes[:len(names)+1]
			continue
		}
		n := nodes[len(names)].child(name)
		if n == nil || n.kind != layer.Symlink {
			names, nodes = append(names, name), append(nodes, n)
			continue
		}
		if links++; links > maxLinks {
			return "", fmt.Errorf("the path %q passes more than %d symbolic links: %w", p, maxLinks, unix.ELOOP)
		}
		if n.layer > number {
			return "", fmt.Errorf("the path %q passes what a layer above made a symbolic link: %w", p, unix.ENOTDIR)
		}
		if path.IsAbs(n.target) {
			names, nodes = names[:0], nodes[:1]
		}
		pending = append(strings.Split(n.target, "/"), pending...)
	}
	return strings.Join(names, "/"), nil
}

// child returns the node of that name below n, which may be nil.
func (n *node) child(name string) *node {
	if n == nil {
		return nil
	}
	return n.children[name]
}

// passesLink reports whether any element of p is a symbolic link of the image.
func (t *tree) passesLink(p string) bool {
	n := t.root
	for name := range elements(p) {
		if n = n.children[name]; n == nil {
			return false
		}
		if n.kind == layer.Symlink {
			return true
		}
	}
	return false
}

// claim returns the node at p, made if need be, and marks it and its ancestors
// as named by the given layer. The caller has resolved p and cleared what was
// no directory on the way.
func (t *tree) claim(p string, number int32) *node {
	return t.walk(p, func(n *node) { n.layer = max(n.layer, number) })
}

// claimAhead is claim for a layer whose turn has not come.
func (t *tree) claimAhead(p string, number int32) *node {
	return t.walk(p, func(n *node) { n.above = max(n.above, number) })
}

// walk returns the node at p, made if need be, and marks it and its ancestors.
func (t *tree) walk(p string, mark func(*node)) *node {
	n := t.root
	mark(n)
	for name := range elements(p) {
		child := n.children[name]
		if child == nil {
			child = &node{kind: layer.Dir}
			if n.children == nil {
				n.kind, n.children = layer.Dir, map[string]*node{}
			}
			n.children[strings.Clone(name)] = child // the whole path would live as long
		}
		mark(child)
		n = child
	}
	return n
}

// remove forgets the node at p with all below it.
func (t *tree) remove(p string) {
	if parent := t.find(parentOf(p)); parent != nil {
		delete(parent.children, baseOf(p))
	}
}

// elements yields the elements of a clean relative path; none for the root.
func elements(p string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for p != "" {
			name, rest, _ := strings.Cut(p, "/")
			if !yield(name) {
				return
			}
			p = rest
		}
	}
}

// parentOf returns the directory of a clean relative path, "" for the root.
func parentOf(p string) string {
	if i := strings.LastIndexByte(p, '/'); i >= 0 {
		return p[:i]
	}
	return ""
}

// baseOf returns the last element of a clean relative path.
func baseOf(p string) string { return p[strings.LastIndexByte(p, '/')+1:] }

func join(dir, name string) string {
	if dir == "" {
		return name
	}
	return dir + "/" + name
}

// within reports whether p is dir or lies below it; all is within the root.
func within(p, dir string) bool {
	return dir == "" || strings.HasPrefix(p, dir) && (len(p) == len(dir) || p[len(dir)] == '/')
}
