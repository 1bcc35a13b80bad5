package extract

import (
	"errors"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/drengskapur/fastmcp-runner/internal/ids"
	"github.com/drengskapur/fastmcp-runner/internal/layer"
	"github.com/drengskapur/fastmcp-runner/internal/rootfs"
)

// setIDBits are setuid and setgid.
const setIDBits = 0o6000

// ownership sets owners, modes, attributes and times as far as the process may.
type ownership struct {
	self     ids.User // who writes
	mayChown bool     // the process may, and the host let it so far
	owned    []string // directories that become owner's
	owner    ids.User
}

func newOwnership(opts Options) ownership {
	uid, gid := os.Geteuid(), os.Getegid()
	return ownership{
		self:     ids.User{UID: uint32(uid), GID: uint32(gid)}, //nolint:gosec // ids of the kernel fit
		mayChown: opts.MayChown,
		owned:    opts.Owned,
		owner:    opts.Owner,
	}
}

// wanted returns whose p becomes, and whether that is the image's own choice.
func (o *ownership) wanted(p string, ent layer.Entry) (owner ids.User, images bool) {
	if slices.ContainsFunc(o.owned, func(dir string) bool { return within(p, dir) }) {
		return o.owner, false
	}
	return ownerOf(ent), true
}

// ownerOf returns the image's owner of an entry, which package layer has
// checked to be one that chown(2) takes.
func ownerOf(ent layer.Entry) ids.User {
	return ids.User{UID: uint32(ent.UID), GID: uint32(ent.GID)} //nolint:gosec // checked, see above
}

// chown sets the owner of p, which info describes, by set. It returns the mode that p may then have:
// setuid and setgid only go with the owner that the image meant, so that no
// program of root's becomes one of somebody else's.
func (o *ownership) chown(p string, ent layer.Entry, report *Report, info rootfs.Info, set func(uid, gid uint32) error) (mode uint32, err error) {
	owner, images := o.wanted(p, ent)
	uid, gid := info.Owner()
	kept := owner == ids.User{UID: uid, GID: gid}
	if !kept && o.mayChown {
		err := set(owner.UID, owner.GID)
		switch {
		case err == nil:
			kept = true
		case errors.Is(err, unix.EPERM) || errors.Is(err, unix.EINVAL): // no CAP_CHOWN, or an id that the user namespace does not map
			o.mayChown = o.mayChown && !errors.Is(err, unix.EPERM)
		default:
			return 0, err
		}
	}
	if !kept && images {
		report.Owners++
	}
	if kept && images {
		return ent.Mode, nil
	}
	return ent.Mode &^ setIDBits, nil
}

// setFile finishes a file that was just written.
func (o *ownership) setFile(f *rootfs.File, p string, ent layer.Entry, report *Report) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	// chown(2) clears setuid, setgid and file capabilities: it comes first.
	mode, err := o.chown(p, ent, report, info, f.Chown)
	if err != nil {
		return err
	}
	perm := info.Perm()
	if len(ent.Xattrs) > 0 && perm&0o200 == 0 {
		perm |= 0o200 // setxattr(2) asks for the right to write, unless root does
		if err := f.Chmod(perm); err != nil {
			return err
		}
	}
	if err := setXattrs(f, ent, report); err != nil {
		return err
	}
	if perm != mode || mode&^0o777 != 0 {
		if err := f.Chmod(mode); err != nil {
			return err
		}
	}
	return f.Chtimes(ent.ModTime)
}

// setNamed finishes a symbolic link or fifo, which is not opened.
func (o *ownership) setNamed(dir *rootfs.Dir, p string, ent layer.Entry, report *Report) error {
	name := baseOf(p)
	info, err := dir.Stat(name)
	if err != nil {
		return err
	}
	_, err = o.chown(p, ent, report, info, func(uid, gid uint32) error { return dir.Lchown(name, uid, gid) })
	if err != nil {
		return err
	}
	return dir.Chtimes(name, ent.ModTime)
}

// setDir finishes a directory. One that is not ours to change, because the
// host had it before and we are not root, stays as it is.
func (o *ownership) setDir(f *rootfs.File, p string, ent layer.Entry, report *Report) error {
	err := o.setFile(f, p, ent, report)
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EROFS) {
		report.Owners++
		return nil
	}
	return err
}

// setXattrs sets what a server may need: user.* and the file capabilities. The
// rest (trusted.*, security.selinux, system.*) is the host's own business.
func setXattrs(f *rootfs.File, ent layer.Entry, report *Report) error {
	for attr, value := range ent.Xattrs {
		if !strings.HasPrefix(attr, "user.") && attr != "security.capability" {
			continue
		}
		err := f.Setxattr(attr, value)
		if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EOPNOTSUPP) {
			report.Xattrs++
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}
