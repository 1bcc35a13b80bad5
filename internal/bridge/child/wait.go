package child

import (
	"errors"
	"syscall"
)

// From linux/wait.h.
const (
	idIsPID    = 1          // P_PID
	waitExited = 0x4        // WEXITED
	waitNoReap = 0x01000000 // WNOWAIT
)

// awaitExit waits until a child of ours has ended, and leaves it unreaped.
func awaitExit(pid int) {
	for {
		_, _, errno := syscall.Syscall6(syscall.SYS_WAITID, idIsPID, uintptr(pid), 0, waitExited|waitNoReap, 0, 0)
		if !errors.Is(errno, syscall.EINTR) {
			return // ended; or, by ECHILD, reaped by somebody else
		}
	}
}
