package child

import (
	"errors"
	"syscall"
	"unsafe"
)

// From linux/wait.h.
const (
	idIsAny    = 0          // P_ALL
	idIsPID    = 1          // P_PID
	waitNoHang = 0x1        // WNOHANG
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

// endedChild is siginfo_t as waitid(2) fills it on 64-bit machines.
type endedChild struct {
	_   [4]int32 // signo, errno, code, padding
	pid int32
	_   [108]byte
}

// anyEnded returns the pid of a child that has ended, and leaves it unreaped; 0
// if there is none.
func anyEnded() int {
	var info endedChild
	for {
		//nolint:gosec // it is the 128 bytes of siginfo_t
		_, _, errno := syscall.Syscall6(syscall.SYS_WAITID, idIsAny, 0, uintptr(unsafe.Pointer(&info)),
			waitExited|waitNoReap|waitNoHang, 0, 0)
		if !errors.Is(errno, syscall.EINTR) {
			return int(info.pid) // by ECHILD, still 0
		}
	}
}
