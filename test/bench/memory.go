package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// memory is a tree with the contents of its files.
type memory struct {
	dirs  []string // parents first
	nodes map[string]node
	below map[string][]leaf // by their directory
	links []leaf            // further hard links
}

// leaf is what is not a directory.
type leaf struct {
	node
	name    string // in its directory; the whole path of a further hard link
	content []byte
}

func loadMemory(nodes map[string]node) (*memory, error) {
	m := &memory{nodes: nodes, below: map[string][]leaf{}}
	for _, p := range slices.Sorted(maps.Keys(nodes)) {
		n := nodes[p]
		switch {
		case n.mode.IsDir():
			m.dirs = append(m.dirs, p)
		case n.first != "":
			m.links = append(m.links, leaf{node: n, name: p})
		case n.mode.IsRegular():
			content, err := os.ReadFile(n.file)
			if err != nil {
				return nil, err
			}
			m.below[path.Dir(p)] = append(m.below[path.Dir(p)], leaf{n, path.Base(p), content})
		case n.mode.Type() == fs.ModeSymlink:
			m.below[path.Dir(p)] = append(m.below[path.Dir(p)], leaf{n, path.Base(p), nil})
		}
	}
	return m, nil
}

// write lays the tree below root with as few system calls as there can be:
// what it holds, whose it is, and its times, each where it differs from what a
// new file has.
func (m *memory) write(root string, writers int) error {
	at, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(at) //nolint:errcheck // nothing was written through it
	if err := m.mkdirs(at); err != nil {
		return err
	}
	if err := m.fill(at, writers); err != nil {
		return err
	}
	for _, l := range m.links {
		if err := unix.Linkat(at, l.first, at, l.name, 0); err != nil {
			return fmt.Errorf("%s: %w", l.name, err)
		}
	}
	for _, p := range slices.Backward(m.dirs) {
		n := m.nodes[p]
		if err := unix.UtimesNanoAt(at, p, []unix.Timespec{n.timespec(), n.timespec()}, 0); err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
	}
	return nil
}

func (m *memory) mkdirs(at int) error {
	for _, p := range m.dirs {
		if err := unix.Mkdirat(at, p, uint32(m.nodes[p].mode.Perm())); err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
	}
	return nil
}

// fill creates what is in the directories, by several writers of which each has
// a directory to itself.
func (m *memory) fill(at, writers int) error {
	next := make(chan string)
	errs := make([]error, writers)
	var all sync.WaitGroup
	for i := range writers {
		all.Go(func() {
			for p := range next {
				if errs[i] == nil {
					errs[i] = fillDir(at, p, m.below[p])
				}
			}
		})
	}
	for p := range m.below {
		next <- p
	}
	close(next)
	all.Wait()
	return errors.Join(errs...)
}

func fillDir(at int, dir string, leaves []leaf) error {
	fd, err := unix.Openat(at, dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("%s: %w", dir, err)
	}
	for _, l := range leaves {
		if err := l.create(fd); err != nil {
			return fmt.Errorf("%s/%s: %w", dir, l.name, err)
		}
	}
	return unix.Close(fd)
}

func (l leaf) create(dir int) error {
	times := [2]unix.Timespec{l.timespec(), l.timespec()}
	if l.mode.Type() == fs.ModeSymlink {
		if err := unix.Symlinkat(l.target, dir, l.name); err != nil {
			return err
		}
		return unix.UtimesNanoAt(dir, l.name, times[:], unix.AT_SYMLINK_NOFOLLOW)
	}
	fd, err := unix.Openat(dir, l.name, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC, uint32(l.mode.Perm()))
	if err != nil {
		return err
	}
	for rest := l.content; len(rest) > 0; {
		n, err := unix.Write(fd, rest)
		if err != nil {
			return err
		}
		rest = rest[n:]
	}
	if l.uid != 0 || l.gid != 0 {
		if err := unix.Fchown(fd, int(l.uid), int(l.gid)); err != nil {
			return err
		}
	}
	// futimens(3), which package unix has no function for.
	if _, _, errno := unix.Syscall6(unix.SYS_UTIMENSAT, uintptr(fd), 0, uintptr(unsafe.Pointer(&times)), 0, 0, 0); errno != 0 {
		return errno
	}
	return unix.Close(fd)
}

func (n node) timespec() unix.Timespec { return unix.NsecToTimespec(n.time.UnixNano()) }
