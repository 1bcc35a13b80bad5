package initd

import (
	"errors"
	"fmt"
	"os/exec"
	"unsafe"

	"golang.org/x/sys/unix"
)

// reapUntil reaps children until cmd is among them, which it leaves to
// [exec.Cmd.Wait].
func reapUntil(cmd *exec.Cmd) error {
	for {
		pid, err := nextEnded()
		if err != nil {
			return fmt.Errorf("cannot wait for a child: %w", err)
		}
		if pid == cmd.Process.Pid {
			return wait(cmd)
		}
		if _, err := unix.Wait4(pid, nil, 0, nil); err != nil {
			return fmt.Errorf("cannot reap process %d: %w", pid, err)
		}
	}
}

// wait leaves out the error that says how the child ended: its ProcessState
// says it as well.
func wait(cmd *exec.Cmd) error {
	err := cmd.Wait()
	if _, ok := errors.AsType[*exec.ExitError](err); ok {
		return nil
	}
	return err
}

// childInfo is siginfo_t as waitid(2) fills it on 64-bit machines; the
// declaration in package unix leaves out what is asked here.
type childInfo struct {
	_   [4]int32 // signo, errno, code, padding
	pid int32
	_   [108]byte
}

// nextEnded waits until a child has ended and returns its PID. It leaves it a
// zombie (WNOWAIT), because reaping cmd here would take its status away from
// package exec.
func nextEnded() (int, error) {
	var info childInfo
	for {
		//nolint:gosec // both structs are the 128 bytes of siginfo_t
		err := unix.Waitid(unix.P_ALL, 0, (*unix.Siginfo)(unsafe.Pointer(&info)), unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return int(info.pid), err
		}
	}
}
