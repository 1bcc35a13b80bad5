package extract_test

import (
	"archive/tar"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/drengskapur/fastmcp-runner/internal/extract"
)

// fact is what a path on the disk is.
type fact struct {
	kind     byte // as in a tar header
	mode     int64
	uid, gid int
	time     time.Time
	content  string // of a file, or the target of a symbolic link
	xattrs   string // user.*, security.* and trusted.*, as name=value, sorted
	inode    any    // the same for names of one file
	names    string // all names of one file, if there are several

	// What nobody defined: the times of a directory that the host had or that
	// no entry describes, and what depends on the order in which the names of
	// one file were given to different owners.
	anyTime, anyOwner, anyXattrs bool
}

func (f fact) String() string {
	s := fmt.Sprintf("%c %04o %d:%d", f.kind, f.mode, f.uid, f.gid)
	if !f.anyTime {
		s += " " + f.time.UTC().Format("2006-01-02T15:04:05.999999999")
	}
	content := f.content
	if len(content) > 40 {
		content = fmt.Sprintf("%s... (%d bytes)", content[:40], len(content))
	}
	s += fmt.Sprintf(" %q", content)
	if f.xattrs != "" {
		s += fmt.Sprintf(" %q", f.xattrs)
	}
	if f.names != "" {
		s += " = " + f.names
	}
	return s
}

// differences lists the paths at which two trees differ.
func differences(want, got map[string]fact) []string {
	var diffs []string
	for _, p := range slices.Sorted(maps.Keys(want)) {
		w, g := want[p], got[p]
		w.inode, g.inode = nil, nil
		if w.anyTime {
			w.time, g.anyTime = g.time, true
		}
		if w.anyOwner {
			w.uid, w.gid, w.mode, w.xattrs, g.anyOwner = g.uid, g.gid, g.mode, g.xattrs, true
		}
		if w.anyXattrs {
			w.xattrs, g.anyXattrs = g.xattrs, true
		}
		sameTime := w.time.Equal(g.time)
		w.time = g.time
		switch {
		case g.kind == 0:
			diffs = append(diffs, fmt.Sprintf("%q is missing, want %v", p, want[p]))
		case w != g || !sameTime:
			diffs = append(diffs, fmt.Sprintf("%q is  %v\n\twant %v", p, got[p], want[p]))
		}
	}
	for _, p := range slices.Sorted(maps.Keys(got)) {
		if _, ok := want[p]; !ok {
			diffs = append(diffs, fmt.Sprintf("%q is  %v\n\twant nothing", p, got[p]))
		}
	}
	return diffs
}

// disk returns what must lie below the root when all layers were applied:
// what is left of the host's, and of the image's what is taken.
func (o *oracle) disk(opts extract.Options) map[string]fact {
	disk := maps.Clone(o.host)
	nameFiles(disk)
	for p, f := range disk {
		f.anyTime = f.kind == tar.TypeDir
		if ownedBy(opts, p) && os.Geteuid() == 0 && f.names == "" {
			f.uid, f.gid = int(opts.Owner.UID), int(opts.Owner.GID)
		}
		disk[p] = f
	}
	o.root.lay("", disk, func(p string, n *node) fact {
		host, hosted := o.host[p]
		switch {
		case n.Typeflag != tar.TypeDir:
			return imageFact(opts, p, n)
		case hosted && (n.Name == "" || !o.takes(p, n.Typeflag) || opts.Keep(p)):
			host.anyTime = true
			if ownedBy(opts, p) && os.Geteuid() == 0 {
				host.uid, host.gid = int(opts.Owner.UID), int(opts.Owner.GID)
			}
			return host
		case n.Name == "" || !o.takes(p, n.Typeflag):
			implied := entry{Header: tar.Header{Typeflag: tar.TypeDir, Mode: 0o755, Uid: os.Geteuid(), Gid: os.Getegid()}}
			f := imageFact(opts, p, &node{entry: &implied})
			f.anyTime = true
			for at := range prefixes(p) {
				f.anyOwner = f.anyOwner || o.host[at].mode&0o2000 != 0 // mkdir(2) inherits
			}
			return f
		}
		f := imageFact(opts, p, n)
		f.anyXattrs = hosted && n.Typeflag == tar.TypeDir
		return f
	})
	nameFiles(disk)
	for p, f := range disk {
		if n := o.at(p); n != nil {
			names := o.doubts.names[n.entry]
			inside := func(p string) bool { return ownedBy(opts, p) }
			f.anyOwner = f.anyOwner || slices.ContainsFunc(names, inside) && slices.ContainsFunc(names, func(p string) bool { return !inside(p) })
		}
		disk[p] = f
	}
	return disk
}

// lay adds what goes to the disk of the nodes below n, which is at p.
func (n *node) lay(p string, disk map[string]fact, fact func(string, *node) fact) {
	for name, child := range n.children {
		if !child.laid || child.fixed {
			continue
		}
		at := strings.TrimPrefix(p+"/"+name, "/")
		disk[at] = fact(at, child)
		child.lay(at, disk, fact)
	}
}

func ownedBy(opts extract.Options, p string) bool {
	return slices.ContainsFunc(opts.Owned, func(dir string) bool { return isWithin(p, dir) })
}

// imageFact is what an entry becomes at p.
func imageFact(opts extract.Options, p string, n *node) fact {
	e := n.entry
	f := fact{
		kind: e.Typeflag, mode: e.Mode & 0o7777, uid: e.Uid, gid: e.Gid, time: e.ModTime,
		content: e.content, inode: n.inode,
	}
	owned, self := ownedBy(opts, p), e.Uid == os.Geteuid() && e.Gid == os.Getegid()
	if owned {
		f.uid, f.gid = int(opts.Owner.UID), int(opts.Owner.GID)
	}
	if os.Geteuid() != 0 {
		f.uid, f.gid = os.Geteuid(), os.Getegid()
	}
	if owned || os.Geteuid() != 0 && !self {
		f.mode &^= 0o6000 // trap 20
	}
	switch e.Typeflag {
	case tar.TypeSymlink:
		f.mode, f.content = 0o777, e.Linkname
	case tar.TypeFifo:
		f.mode &= 0o755 // the umask takes its part
	case tar.TypeReg, tar.TypeDir:
		f.xattrs = xattrsOf(e)
	}
	return f
}

// xattrsOf lists the extended attributes of an entry that are set: trap 24.
func xattrsOf(e *entry) string {
	var attrs []string
	for key, value := range e.PAXRecords {
		attr, ok := strings.CutPrefix(key, "SCHILY.xattr.")
		if ok && (strings.HasPrefix(attr, "user.") || attr == "security.capability" && os.Geteuid() == 0) {
			attrs = append(attrs, attr+"="+value)
		}
	}
	slices.Sort(attrs)
	return strings.Join(attrs, " ")
}

// nameFiles sets the names of all files that have several.
func nameFiles(tree map[string]fact) {
	names := map[any][]string{}
	for _, p := range slices.Sorted(maps.Keys(tree)) {
		if f := tree[p]; f.kind != tar.TypeDir {
			names[f.inode] = append(names[f.inode], p)
		}
	}
	for p, f := range tree {
		f.names = ""
		if all := names[f.inode]; len(all) > 1 && f.kind != tar.TypeDir {
			f.names = fmt.Sprintf("%q", all)
		}
		tree[p] = f
	}
}

// strayNames lists the files on a disk that have names elsewhere.
func strayNames(tree map[string]fact) []string {
	found := map[any]int{}
	for _, f := range tree {
		found[f.inode]++
	}
	var stray []string
	for p, f := range tree {
		if there, ok := f.inode.(inode); ok && there.names != found[f.inode] && f.kind != tar.TypeDir {
			stray = append(stray, fmt.Sprintf("%q has %d names, but only %d can be found", p, there.names, found[f.inode]))
		}
	}
	return stray
}

// scan reads all below root. A user who is not root makes readable on the way
// what is his and unreadable, so that only the first scan tells its mode.
func scan(tb testing.TB, root string) map[string]fact {
	tb.Helper()
	tree := map[string]fact{}
	err := filepath.WalkDir(root, func(name string, _ fs.DirEntry, err error) error {
		if err != nil || name == root {
			return err
		}
		f, err := factOf(name)
		tree[name[len(root)+1:]] = f
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	nameFiles(tree)
	return tree
}

// inode tells files on the disk apart.
type inode struct {
	number uint64
	names  int
}

func factOf(name string) (fact, error) {
	var s syscall.Stat_t
	if err := syscall.Lstat(name, &s); err != nil {
		return fact{}, err
	}
	f := fact{
		mode: int64(s.Mode & 0o7777), uid: int(s.Uid), gid: int(s.Gid), time: time.Unix(s.Mtim.Unix()),
		inode: inode{s.Ino, int(s.Nlink)},
	}
	var err error
	switch s.Mode & syscall.S_IFMT {
	case syscall.S_IFDIR:
		f.kind = tar.TypeDir
		if f.mode&0o700 != 0o700 && os.Geteuid() != 0 {
			err = os.Chmod(name, 0o700)
		}
		if err == nil {
			f.xattrs, err = readXattrs(name)
		}
	case syscall.S_IFREG:
		f.kind = tar.TypeReg
		err = f.readFile(name)
	case syscall.S_IFLNK:
		f.kind = tar.TypeSymlink
		f.content, err = os.Readlink(name)
	case syscall.S_IFIFO:
		f.kind = tar.TypeFifo
	default:
		f.kind = tar.TypeChar
	}
	return f, err
}

// readFile reads a file that its owner may not be allowed to read.
func (f *fact) readFile(name string) error {
	mode := uint32(f.mode)
	if mode&0o400 == 0 && os.Geteuid() != 0 {
		if err := syscall.Chmod(name, 0o600); err != nil {
			return err
		}
		defer syscall.Chmod(name, mode) //nolint:errcheck // the next one to read it would tell
	}
	content, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	f.content = string(content)
	f.xattrs, err = readXattrs(name)
	return err
}

func readXattrs(name string) (string, error) {
	buf := make([]byte, 4096)
	n, err := unix.Llistxattr(name, buf)
	if errors.Is(err, unix.ENOTSUP) {
		return "", nil
	}
	if err != nil || n == 0 {
		return "", err
	}
	var attrs []string
	for attr := range strings.SplitSeq(strings.TrimSuffix(string(buf[:n]), "\x00"), "\x00") {
		n, err := unix.Lgetxattr(name, attr, buf)
		if err != nil {
			return "", err
		}
		if attr != "security.selinux" {
			attrs = append(attrs, attr+"="+string(buf[:n]))
		}
	}
	slices.Sort(attrs)
	return strings.Join(attrs, " "), nil
}
