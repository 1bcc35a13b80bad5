package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// diskBytes is the size of the disks that runs write to, as a sparse file; of
// the default size depends how many inodes ext4 has.
const diskBytes = 8 << 30

// disk is a file system of its own for one run: ext4 on a loop device. One that
// was used before gives wrong figures, because ext4 goes past recently deleted
// inodes one by one when it looks for a free one.
type disk struct {
	dir    string // where it is mounted
	file   string
	device string // such as loop0
}

// newDisk makes an empty one and mounts it at dir.
func newDisk(ctx context.Context, dir string, size int64) (*disk, error) {
	d := &disk{dir: dir, file: dir + ".ext4"}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	f, err := os.Create(d.file)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(f.Truncate(size), f.Close()); err != nil {
		return nil, err
	}
	if err := run(command(ctx, "mkfs.ext4", "-q", d.file)); err != nil {
		return nil, err
	}
	if err := run(command(ctx, "mount", "-o", "loop", d.file, dir)); err != nil {
		return nil, err
	}
	if d.device, err = deviceAt(dir); err != nil {
		return nil, errors.Join(err, d.remove())
	}
	return d, nil
}

// remove unmounts the disk, and what a tool left mounted below it.
func (d *disk) remove() error {
	points, err := mountsBelow(d.dir)
	errs := []error{err}
	for _, point := range append(points, d.dir) {
		errs = append(errs, unmount(point))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return errors.Join(os.Remove(d.dir), os.Remove(d.file))
}

// unmount waits for a tool that was killed and is still ending.
func unmount(point string) error {
	const (
		patience = 30 * time.Second
		pause    = 20 * time.Millisecond
	)
	for deadline := time.Now().Add(patience); ; time.Sleep(pause) {
		err := unix.Unmount(point, 0)
		if !errors.Is(err, unix.EBUSY) || time.Now().After(deadline) {
			return err
		}
	}
}

// written returns how many bytes were written to the device, after a sync.
func (d *disk) written() (int64, error) {
	dir, err := os.Open(d.dir)
	if err != nil {
		return 0, err
	}
	defer dir.Close()
	if err := unix.Syncfs(int(dir.Fd())); err != nil {
		return 0, err
	}
	stat, err := os.ReadFile(filepath.Join("/sys/block", d.device, "stat"))
	if err != nil {
		return 0, err
	}
	// The seventh field are the sectors written, of 512 bytes always: see
	// Documentation/block/stat.rst.
	fields := strings.Fields(string(stat))
	const sectors, sectorBytes = 6, 512
	if len(fields) <= sectors {
		return 0, fmt.Errorf("/sys/block/%s/stat is %q", d.device, stat)
	}
	n, err := strconv.ParseInt(fields[sectors], 10, 64)
	return n * sectorBytes, err
}

// deviceAt returns the name of the block device that is mounted at dir.
func deviceAt(dir string) (string, error) {
	var found string
	err := mounts(func(point, source string) {
		if point == dir {
			found = filepath.Base(source)
		}
	})
	if err == nil && found == "" {
		err = fmt.Errorf("nothing is mounted at %s", dir)
	}
	return found, err
}

// mountsBelow returns the mount points below dir, the last mounted first.
func mountsBelow(dir string) ([]string, error) {
	var points []string
	err := mounts(func(point, _ string) {
		if strings.HasPrefix(point, dir+"/") {
			points = append(points, point)
		}
	})
	slices.Reverse(points)
	return points, err
}

// mounts tells of every mount, see proc_pid_mountinfo(5).
func mounts(tell func(point, source string)) error {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		before, after, ok := strings.Cut(lines.Text(), " - ")
		left, right := strings.Fields(before), strings.Fields(after)
		if ok && len(left) > 4 && len(right) > 1 {
			tell(left[4], right[1])
		}
	}
	return lines.Err()
}
