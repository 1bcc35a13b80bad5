package boot

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/drengskapur/fastmcp-runner/internal/host"
	"github.com/drengskapur/fastmcp-runner/internal/rootfs"
)

// furnish gives a private root what the image was not asked for: the host's
// network files, and without a mount namespace the devices that every program
// expects. The others come by mounts.
func (s *start) furnish() error {
	l := s.layout
	if l.way == host.WayInPlace {
		return nil
	}
	if err := s.copyHostFiles(l.root); err != nil {
		return fmt.Errorf("cannot copy the host's network files into the root: %w", err)
	}
	if l.way != host.WayChroot {
		return nil
	}
	s.opts.Log.Warn("The server sees no /proc and /sys, and of /dev only the basic devices",
		"reason", "chroot cannot mount")
	if err := makeDevices(l.root); err != nil {
		s.opts.Log.Warn("Cannot make the basic devices", "reason", err)
	}
	return nil
}

// maxHostFile bounds the network files, which are short.
const maxHostFile = 1 << 20

func (s *start) copyHostFiles(root *rootfs.Root) error {
	own, err := rootfs.Open("/")
	if err != nil {
		return err
	}
	defer own.Close()
	etc, err := openOrMake(root, "etc")
	if err != nil {
		return err
	}
	defer etc.Close()
	for _, name := range hostFiles() {
		content, err := own.ReadFile("/"+name, maxHostFile)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if err := writeFile(etc, strings.TrimPrefix(name, "etc/"), 0o644, content); err != nil {
			return err
		}
	}
	return nil
}

// writeFile puts a file in the place of whatever is there.
func writeFile(dir *rootfs.Dir, name string, mode uint32, content []byte) error {
	if err := dir.RemoveAll(name); err != nil {
		return err
	}
	f, err := dir.Create(name, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Close())
}

// openOrMake opens the directory name of the root, not following a link.
func openOrMake(root *rootfs.Root, name string) (*rootfs.Dir, error) {
	return enter(root.Dir(), name, func() error { return root.Dir().Mkdir(name, 0o755) })
}

// makeDevices makes the devices that a program may count on (runtime
// specification, config-linux.md, "Default Devices"). Making them needs
// CAP_MKNOD.
func makeDevices(root *rootfs.Root) error {
	dev, err := openOrMake(root, "dev")
	if err != nil {
		return err
	}
	defer dev.Close()
	for name, minor := range map[string]uint32{"null": 3, "zero": 5, "full": 7, "random": 8, "urandom": 9} {
		err := dev.Mkdev(name, 0o666, 1, minor)
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}
