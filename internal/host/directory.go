package host

import (
	"strings"

	"golang.org/x/sys/unix"
)

// Directory is what may be done in one directory.
type Directory struct {
	Path string `json:"path"`
	// Writable says whether files can be made there, with the effective ids
	// and capabilities of this process.
	Writable Answer `json:"writable"`
	// FileSystem is nil if it is unknown.
	FileSystem *FileSystem `json:"file_system"`
}

// FileSystem is what a directory lies on.
type FileSystem struct {
	ReadOnly bool `json:"read_only"`
	// InMemory says that what is written there counts as memory.
	InMemory bool `json:"in_memory"`
	// SizeBytes and FreeBytes are the whole size and what is free for this
	// process. A size of 0 means that the file system has no size of its own,
	// so that FreeBytes says nothing.
	SizeBytes uint64 `json:"size_bytes"`
	FreeBytes uint64 `json:"free_bytes"`
}

// askDirectory asks about one directory and writes nothing.
func askDirectory(name string) Directory {
	dir := Directory{Path: name, FileSystem: AskFileSystem(name)}
	// The slash makes anything but a directory ENOTDIR.
	err := unix.Faccessat(unix.AT_FDCWD, strings.TrimSuffix(name, "/")+"/", unix.W_OK|unix.X_OK, unix.AT_EACCESS)
	if err == nil && dir.FileSystem != nil && dir.FileSystem.ReadOnly {
		err = unix.EROFS // where the kernel has no faccessat2, its imitation does not see that
	}
	dir.Writable = answer(err)
	return dir
}

// AskFileSystem asks what a directory lies on; nil if it is unknown.
func AskFileSystem(name string) *FileSystem {
	var stat unix.Statfs_t
	if err := unix.Statfs(name, &stat); err != nil {
		return nil
	}
	return &FileSystem{
		ReadOnly:  stat.Flags&unix.ST_RDONLY != 0,
		InMemory:  stat.Type == unix.TMPFS_MAGIC || stat.Type == unix.RAMFS_MAGIC,
		SizeBytes: blocks(stat.Blocks, stat.Frsize),
		FreeBytes: blocks(stat.Bavail, stat.Frsize),
	}
}

// largest is beyond what any disk has. Some network file systems, and those of
// gVisor in memory, claim more: they have no size of their own.
const largest = 1 << 60

// blocks returns the bytes of some blocks.
func blocks(count uint64, size int64) uint64 {
	if size <= 0 || count > largest/uint64(size) {
		return 0
	}
	return count * uint64(size)
}
