package extract

import "github.com/drengskapur/fastmcp-runner/internal/rootfs"

// maxOpenDirs is how many directories stay open between two entries. Layers
// list a directory's children together, so that few are needed.
const maxOpenDirs = 64

// dirs keeps the directories that were written to last open, by their path.
type dirs struct {
	root *rootfs.Root
	open map[string]*rootfs.Dir
}

func newDirs(root *rootfs.Root) *dirs {
	return &dirs{root: root, open: map[string]*rootfs.Dir{}}
}

// get returns the open directory at p, nil if it is not open.
func (d *dirs) get(p string) *rootfs.Dir {
	if p == "" {
		return d.root.Dir()
	}
	return d.open[p]
}

// openPath opens the existing directory at p.
func (d *dirs) openPath(p string) (*rootfs.Dir, error) {
	if dir := d.get(p); dir != nil {
		return dir, nil
	}
	parent, err := d.openPath(parentOf(p))
	if err != nil {
		return nil, err
	}
	dir, err := parent.Open(baseOf(p))
	if err != nil {
		return nil, err
	}
	d.put(p, dir)
	return dir, nil
}

// put keeps dir, opened at p, until the next trim.
func (d *dirs) put(p string, dir *rootfs.Dir) { d.open[p] = dir }

// trim closes everything when too much is open. It is called between two
// entries only, while nobody holds a directory.
func (d *dirs) trim() {
	if len(d.open) > maxOpenDirs {
		d.close()
	}
}

// close closes all directories.
func (d *dirs) close() { d.closeBelow("") }

// closeAt closes the directory p, below which none is open.
func (d *dirs) closeAt(p string) {
	if dir := d.open[p]; dir != nil {
		_ = dir.Close() // an O_PATH descriptor has nothing to lose
		delete(d.open, p)
	}
}

// closeBelow closes the directory p and what lies below it, because it is
// about to be removed.
func (d *dirs) closeBelow(p string) {
	for name, dir := range d.open {
		if within(name, p) {
			_ = dir.Close() // an O_PATH descriptor has nothing to lose
			delete(d.open, name)
		}
	}
}
