package handoff

import (
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// firstOwn is the first descriptor after the standard streams.
const firstOwn = 3

// closeOnExec sees to it that execve closes every descriptor but the standard
// streams and those in keep. Ours are opened close-on-exec anyway; those that
// the runner inherited are not.
func closeOnExec(keep []int) error {
	if err := closeAllOnExec(); err != nil {
		return err
	}
	for _, fd := range keep {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, 0); err != nil {
			return fmt.Errorf("fcntl %d: %w", fd, err)
		}
	}
	return nil
}

func closeAllOnExec() error {
	// Before Linux 5.11, and under old seccomp profiles, it is missing by
	// one of several errors.
	if err := unix.CloseRange(firstOwn, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC); err == nil {
		return nil
	}
	if err := closeOnExecListed("/proc/self/fd"); err == nil {
		return nil
	}
	return closeOnExecBelowLimit()
}

// closeOnExecListed goes through the descriptors that a directory of procfs
// lists.
func closeOnExecListed(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		fd, err := strconv.Atoi(entry.Name())
		if err != nil {
			return fmt.Errorf("%s lists %q", dir, entry.Name())
		}
		if err := setCloseOnExec(fd); err != nil {
			return err
		}
	}
	return nil
}

// closeOnExecBelowLimit goes through all descriptors that there can be. The
// Go runtime has raised the soft limit to the hard one at its start.
func closeOnExecBelowLimit() error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("getrlimit: %w", err)
	}
	for fd := firstOwn; uint64(fd) < limit.Cur; fd++ {
		if err := setCloseOnExec(fd); err != nil {
			return err
		}
	}
	return nil
}

// setCloseOnExec marks one descriptor; one that is not open is none to mark.
func setCloseOnExec(fd int) error {
	if fd < firstOwn {
		return nil
	}
	_, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, unix.FD_CLOEXEC)
	if err != nil && !errors.Is(err, unix.EBADF) {
		return fmt.Errorf("fcntl %d: %w", fd, err)
	}
	return nil
}
