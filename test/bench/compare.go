package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// node is what a tree has at a path.
type node struct {
	mode     fs.FileMode
	uid, gid uint32
	size     int64
	device   uint64 // of a device node
	inode    uint64
	time     time.Time
	target   string // of a symbolic link
	first    string // of a further hard link: the first
	file     string // where it lies
}

// readTree returns the nodes below root that keep wants, by their paths.
func readTree(root string, keep func(p string) bool) (map[string]node, error) {
	tree, names := map[string]node{}, map[uint64][]string{} // the latter by inode
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		p, err := filepath.Rel(root, file)
		if err != nil || p == "." || !keep(p) {
			return err
		}
		n, err := readNode(file, d)
		tree[p] = n
		if !n.mode.IsDir() {
			names[n.inode] = append(names[n.inode], p)
		}
		return err
	})
	for _, same := range names {
		for _, p := range same[1:] {
			n := tree[p]
			n.first = same[0]
			tree[p] = n
		}
	}
	return tree, err
}

func readNode(file string, d fs.DirEntry) (node, error) {
	info, err := d.Info()
	if err != nil {
		return node{}, err
	}
	n := node{mode: info.Mode(), time: info.ModTime(), file: file}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		n.uid, n.gid, n.device, n.inode = stat.Uid, stat.Gid, stat.Rdev, stat.Ino
	}
	if n.mode.IsRegular() {
		n.size = info.Size()
	}
	if n.mode.Type() == fs.ModeSymlink {
		n.target, err = os.Readlink(file)
	}
	return n, err
}

// differences tells in what got differs from want; since is when want was
// laid.
func differences(want, got map[string]node, since time.Time) ([]string, error) {
	var found []string
	for _, p := range slices.Sorted(maps.Keys(want)) {
		other, ok := got[p]
		if !ok {
			found = append(found, p+" is missing")
			continue
		}
		d, err := want[p].differences(other, since)
		if err != nil {
			return nil, err
		}
		for _, what := range d {
			found = append(found, p+": "+what)
		}
	}
	for _, p := range slices.Sorted(maps.Keys(got)) {
		if _, ok := want[p]; !ok {
			found = append(found, p+" is there in addition")
		}
	}
	return found, nil
}

func (n node) differences(got node, since time.Time) ([]string, error) {
	var found []string
	note := func(what string, want, got any) {
		if want != got {
			found = append(found, fmt.Sprintf("%s %v, not %v", what, got, want))
		}
	}
	note("mode", n.mode, got.mode)
	note("owner", n.uid, got.uid)
	note("group", n.gid, got.gid)
	note("size", n.size, got.size)
	note("device", n.device, got.device)
	note("target", n.target, got.target)
	note("hard link to", n.first, got.first)
	// crane hands the entries of lower layers on behind those of upper ones, so
	// that tar(1) puts something into a directory whose time it has set already.
	if !n.mode.IsDir() || n.time.Before(since) {
		note("time", n.time, got.time)
	}
	if found != nil || !n.mode.IsRegular() {
		return found, nil
	}
	same, err := sameContent(n.file, got.file)
	if err == nil && !same {
		found = append(found, "content differs")
	}
	return found, err
}

func sameContent(a, b string) (bool, error) {
	x, err := os.ReadFile(a)
	if err != nil {
		return false, err
	}
	y, err := os.ReadFile(b)
	return bytes.Equal(x, y), err
}
