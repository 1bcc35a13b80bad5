package handoff

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/drengskapur/fastmcp-runner/internal/hint"
	"github.com/drengskapur/fastmcp-runner/internal/rootfs"
)

// enterRoot makes opts.Root the root of the calling thread, if it names one.
func enterRoot(opts Options) error {
	if opts.Root == "" {
		return nil
	}
	if opts.Mount {
		if err := mountInto(opts.Root); err != nil {
			return fmt.Errorf("cannot mount the kernel's file systems below %q: %w", opts.Root, err)
		}
	}
	// The current directory follows: it would lie outside of the new root, and
	// ".." would lead everywhere (chroot(2)).
	if err := errors.Join(unix.Chroot(opts.Root), unix.Chdir("/")); err != nil {
		return hint.Add(fmt.Errorf("cannot enter the root %q: %w", opts.Root, err),
			"fastmcp-runner doctor says which ways of running a whole image this host has")
	}
	return nil
}

// shown are the directories of the host that the program sees. A bind of /proc
// that is not recursive is refused in a user namespace, because it would
// uncover what the host mounted over parts of it.
func shown() []string { return []string{"proc", "dev", "sys", "data"} }

// mountInto gives the calling thread a mount namespace of its own, and binds
// the host's directories below root in it.
func mountInto(root string) error {
	// unshare(2) of CLONE_NEWNS acts on this thread alone.
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("unshare: %w", err)
	}
	// Otherwise the mounts would appear in the container's own namespace too.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("making mounts private: %w", err)
	}
	// Opened only now: a descriptor from before leads into the old namespace,
	// where this thread cannot mount.
	top, err := rootfs.Open(root)
	if err != nil {
		return err
	}
	defer top.Close()
	for _, name := range shown() {
		if err := bind(top, name); err != nil {
			return fmt.Errorf("/%s: %w", name, err)
		}
	}
	return nil
}

// bind shows the host's directory of that name below root. One that the host
// does not have is no error. What lies at its place in the root is not
// followed: it came with an image, and may be a link to anywhere.
func bind(root *rootfs.Root, name string) error {
	var stat unix.Stat_t
	if err := unix.Stat("/"+name, &stat); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := root.Dir().Mkdir(name, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	dir, err := root.Dir().Open(name)
	if err != nil {
		return err
	}
	target := "/proc/self/fd/" + strconv.Itoa(dir.Fd())
	return errors.Join(unix.Mount("/"+name, target, "", unix.MS_BIND|unix.MS_REC, ""), dir.Close())
}
