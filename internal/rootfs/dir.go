package rootfs

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// Dir is an open directory. Its methods take names of single elements and
// never follow a link at that name.
type Dir struct{ fd int }

// Open opens the directory name. A symbolic link is ELOOP or ENOTDIR.
func (d *Dir) Open(name string) (*Dir, error) {
	fd, err := retry(func() (int, error) {
		return unix.Openat(d.fd, name, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return &Dir{fd: fd}, nil
}

// Fd returns the directory's descriptor, which stays the directory's own.
func (d *Dir) Fd() int { return d.fd }

// Clone opens the same directory once more.
func (d *Dir) Clone() (*Dir, error) { return d.Open(".") }

// Close closes the directory.
func (d *Dir) Close() error { return unix.Close(d.fd) }

// closeQuietly closes a directory that may be missing. Nothing was written
// through an O_PATH descriptor, so that its close can lose nothing.
func (d *Dir) closeQuietly() {
	if d != nil {
		_ = unix.Close(d.fd)
	}
}

// Info describes a directory entry.
type Info struct{ stat unix.Stat_t }

// IsDir reports whether the entry is a directory.
func (i Info) IsDir() bool { return i.stat.Mode&unix.S_IFMT == unix.S_IFDIR }

// IsRegular reports whether the entry is a regular file.
func (i Info) IsRegular() bool { return i.stat.Mode&unix.S_IFMT == unix.S_IFREG }

// IsSymlink reports whether the entry is a symbolic link.
func (i Info) IsSymlink() bool { return i.stat.Mode&unix.S_IFMT == unix.S_IFLNK }

// Perm returns the mode bits of chmod(2), 0 to 0o7777.
func (i Info) Perm() uint32 { return i.stat.Mode & 0o7777 }

// Owner returns the numeric owner and group.
func (i Info) Owner() (uid, gid uint32) { return i.stat.Uid, i.stat.Gid }

// Size returns the length in bytes.
func (i Info) Size() int64 { return i.stat.Size }

// ModTime returns the modification time.
func (i Info) ModTime() time.Time { return time.Unix(i.stat.Mtim.Unix()) }

// Links returns how many names the inode has.
func (i Info) Links() uint64 { return uint64(i.stat.Nlink) } //nolint:unconvert // uint32 on arm64

// Device returns the number of the file system that holds the entry.
func (i Info) Device() uint64 { return uint64(i.stat.Dev) } //nolint:unconvert // its type differs by architecture

// Inode returns the inode number.
func (i Info) Inode() uint64 { return i.stat.Ino }

// Stat describes name, or the directory itself when name is "".
func (d *Dir) Stat(name string) (Info, error) {
	var info Info
	flags := unix.AT_SYMLINK_NOFOLLOW
	if name == "" {
		flags |= unix.AT_EMPTY_PATH
	}
	_, err := retry(func() (int, error) { return 0, unix.Fstatat(d.fd, name, &info.stat, flags) })
	if err != nil {
		return Info{}, &fs.PathError{Op: "stat", Path: name, Err: err}
	}
	return info, nil
}

// Readlink returns the target of the symbolic link name, byte for byte.
func (d *Dir) Readlink(name string) (string, error) {
	for size := 256; ; size *= 2 {
		buf := make([]byte, size)
		n, err := retry(func() (int, error) { return unix.Readlinkat(d.fd, name, buf) })
		if err != nil {
			return "", &fs.PathError{Op: "readlink", Path: name, Err: err}
		}
		if n < size {
			return string(buf[:n]), nil
		}
	}
}

// Names returns the names in the directory, sorted.
func (d *Dir) Names() ([]string, error) {
	fd, err := retry(func() (int, error) {
		return unix.Openat(d.fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: ".", Err: err}
	}
	f := os.NewFile(uintptr(fd), "directory")
	defer f.Close()
	names, err := f.Readdirnames(-1)
	slices.Sort(names)
	return names, err
}

// openRegular opens name for reading and makes sure that it still is a regular
// file. O_NONBLOCK keeps a fifo that took its place from blocking.
func (d *Dir) openRegular(name, full string) (*os.File, error) {
	fd, err := retry(func() (int, error) {
		return unix.Openat(d.fd, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: full, Err: err}
	}
	f := os.NewFile(uintptr(fd), full)
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: full, Err: errors.New("not a regular file")}
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Mkdir makes the directory name with the given mode, less the umask.
func (d *Dir) Mkdir(name string, mode uint32) error {
	return pathError("mkdir", name, unix.Mkdirat(d.fd, name, mode))
}

// Symlink makes name a symbolic link to target.
func (d *Dir) Symlink(target, name string) error {
	return pathError("symlink", name, unix.Symlinkat(target, d.fd, name))
}

// Link gives the file name in d the further name newname in to. A symbolic
// link is linked itself.
func (d *Dir) Link(name string, to *Dir, newname string) error {
	return pathError("link", newname, unix.Linkat(d.fd, name, to.fd, newname, 0))
}

// Mkfifo makes name a named pipe.
func (d *Dir) Mkfifo(name string, mode uint32) error {
	return pathError("mkfifo", name, unix.Mknodat(d.fd, name, mode|unix.S_IFIFO, 0))
}

// Mkdev makes name a character device with the given numbers and mode, whatever
// the umask: who cannot write to /dev/null goes wrong in odd ways.
func (d *Dir) Mkdev(name string, mode, major, minor uint32) error {
	err := unix.Mknodat(d.fd, name, mode|unix.S_IFCHR, int(unix.Mkdev(major, minor))) //nolint:gosec // small numbers
	if err != nil {
		return pathError("mknod", name, err)
	}
	return pathError("chmod", name, unix.Fchmodat(d.fd, name, mode, 0)) // the name is new, and no link
}

// Unlink removes name, which is not a directory.
func (d *Dir) Unlink(name string) error {
	return pathError("unlink", name, unix.Unlinkat(d.fd, name, 0))
}

// Rmdir removes the empty directory name.
func (d *Dir) Rmdir(name string) error {
	return pathError("rmdir", name, unix.Unlinkat(d.fd, name, unix.AT_REMOVEDIR))
}

// Rename gives name the name newname in the same directory, replacing what
// was there, at once.
func (d *Dir) Rename(name, newname string) error {
	return pathError("rename", name, unix.Renameat(d.fd, name, d.fd, newname))
}

// Lchown changes the owner of name; "" is the directory itself.
func (d *Dir) Lchown(name string, uid, gid uint32) error {
	flags := unix.AT_SYMLINK_NOFOLLOW
	if name == "" {
		flags |= unix.AT_EMPTY_PATH
	}
	return pathError("chown", name, unix.Fchownat(d.fd, name, int(uid), int(gid), flags))
}

// Chtimes sets the access and modification time of name to t.
func (d *Dir) Chtimes(name string, t time.Time) error {
	ts, err := unix.TimeToTimespec(t)
	if err != nil {
		return pathError("utimensat", name, err)
	}
	return pathError("utimensat", name,
		unix.UtimesNanoAt(d.fd, name, []unix.Timespec{ts, ts}, unix.AT_SYMLINK_NOFOLLOW))
}

// Create creates the regular file name for writing with the given mode, less
// the umask; an existing name is an error.
func (d *Dir) Create(name string, mode uint32) (*File, error) {
	fd, err := retry(func() (int, error) {
		return unix.Openat(d.fd, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, mode)
	})
	if err != nil {
		return nil, &fs.PathError{Op: "create", Path: name, Err: err}
	}
	return &File{fd: fd, name: name}, nil
}

// OpenMeta opens the regular file or directory name to change its metadata.
func (d *Dir) OpenMeta(name string) (*File, error) {
	fd, err := retry(func() (int, error) {
		return unix.Openat(d.fd, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return &File{fd: fd, name: name}, nil
}

// OpenRegular opens the regular file name for reading.
func (d *Dir) OpenRegular(name string) (*os.File, error) { return d.openRegular(name, name) }

// RemoveAll removes name with everything below it. It follows no link and
// leaves no file system: at a mount point it fails with EBUSY.
func (d *Dir) RemoveAll(name string) error {
	err := d.Unlink(name)
	if !errors.Is(err, unix.EISDIR) && !errors.Is(err, unix.EPERM) {
		return ignoreMissing(err)
	}
	sub, openErr := d.Open(name)
	if openErr != nil {
		return errors.Join(err, openErr)
	}
	defer sub.closeQuietly()
	if err := d.sameDevice(sub, name); err != nil {
		return err
	}
	if err := sub.removeChildren(name); err != nil {
		return err
	}
	return ignoreMissing(d.Rmdir(name))
}

// removeChildren empties a directory. One that we own but may not read or
// write (0o555 or less, trap of every rootless extractor) is opened up first.
func (d *Dir) removeChildren(name string) error {
	if err := d.makeWritable(); err != nil {
		return err
	}
	names, err := d.Names()
	if err != nil {
		return pathError("list", name, errors.Unwrap(err))
	}
	for _, child := range names {
		if err := d.RemoveAll(child); err != nil {
			return err
		}
	}
	return nil
}

// makeWritable gives the owner all rights on the directory if it is ours and
// they are missing.
func (d *Dir) makeWritable() error {
	info, err := d.Stat("")
	if err != nil {
		return err
	}
	if uid, _ := info.Owner(); info.Perm()&0o700 == 0o700 || int(uid) != unix.Geteuid() {
		return nil
	}
	return d.ChmodSelf(info.Perm() | 0o700)
}

// ChmodSelf sets the mode of the directory itself, for which its O_PATH
// descriptor does not serve and which may not be readable: a chmod through
// /proc/self/fd, as the man page of open(2) gives it, names exactly this inode.
func (d *Dir) ChmodSelf(mode uint32) error {
	err := unix.Fchmodat(d.fd, "", mode, unix.AT_EMPTY_PATH)
	if err == nil {
		return nil
	}
	return pathError("chmod", "", unix.Chmod(procPath(d.fd), mode))
}

// sameDevice refuses to go on below a mount point.
func (d *Dir) sameDevice(sub *Dir, name string) error {
	here, err := d.Stat("")
	if err != nil {
		return err
	}
	there, err := sub.Stat("")
	if err != nil {
		return err
	}
	if here.Device() != there.Device() {
		return pathError("remove", name, unix.EBUSY)
	}
	return nil
}

// File is an open regular file or directory whose content or metadata is set.
type File struct {
	fd   int
	name string
}

// Write writes all of p.
func (f *File) Write(p []byte) (int, error) {
	written := 0
	for written < len(p) {
		n, err := retry(func() (int, error) { return unix.Write(f.fd, p[written:]) })
		if err != nil {
			return written, pathError("write", f.name, err)
		}
		if n == 0 {
			return written, pathError("write", f.name, io.ErrShortWrite)
		}
		written += n
	}
	return written, nil
}

// Extend makes the file longer by a hole of n bytes, behind which the next
// Write goes on.
func (f *File) Extend(n int64) error {
	end, err := unix.Seek(f.fd, n, io.SeekCurrent)
	if err == nil {
		err = unix.Ftruncate(f.fd, end)
	}
	return pathError("extend", f.name, err)
}

// Chown sets the owner. It clears setuid and setgid: Chmod comes after it.
func (f *File) Chown(uid, gid uint32) error {
	return pathError("chown", f.name, unix.Fchown(f.fd, int(uid), int(gid)))
}

// Chmod sets the mode bits, 0 to 0o7777.
func (f *File) Chmod(mode uint32) error { return pathError("chmod", f.name, unix.Fchmod(f.fd, mode)) }

// Setxattr sets an extended attribute.
func (f *File) Setxattr(attr, value string) error {
	return pathError("setxattr", f.name, unix.Fsetxattr(f.fd, attr, []byte(value), 0))
}

// Chtimes sets the access and modification time to t.
func (f *File) Chtimes(t time.Time) error {
	ts, err := unix.TimeToTimespec(t)
	if err != nil {
		return pathError("utimensat", f.name, err)
	}
	return pathError("utimensat", f.name, futimens(f.fd, &[2]unix.Timespec{ts, ts}))
}

// Stat describes the open file.
func (f *File) Stat() (Info, error) {
	var info Info
	return info, pathError("stat", f.name, unix.Fstat(f.fd, &info.stat))
}

// Close closes the file; what close(2) reports may be a write that failed.
func (f *File) Close() error { return pathError("close", f.name, unix.Close(f.fd)) }

// pathError names what was done to what; nil stays nil.
func pathError(op, name string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: op, Path: name, Err: err}
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// retry repeats a call that a signal interrupted.
func retry(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}
