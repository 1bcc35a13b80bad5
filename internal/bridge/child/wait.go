package child

import (
	"errors"
	"os"
	"os/signal"
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

// awaitExit waits until a child of ours has ended, and leaves it unreaped. It
// asks at each SIGCHLD rather than stay in waitid(2), which would take a thread
// for each child: a Go program never gives back the threads that it once had.
func awaitExit(pid int) {
	deaths := make(chan os.Signal, 1)
	signal.Notify(deaths, syscall.SIGCHLD)
	defer signal.Stop(deaths)
	for !hasEnded(pid) { // asked after Notify, or a death in between were missed
		<-deaths
	}
}

// hasEnded says whether a child of ours has ended; or, by ECHILD, was reaped by
// somebody else.
func hasEnded(pid int) bool {
	found, errno := ended(idIsPID, pid)
	return found == pid || errors.Is(errno, syscall.ECHILD)
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
	pid, _ := ended(idIsAny, 0)
	return pid
}

// ended returns the pid of a child that has ended, among those that the kind
// and the id name; 0 if there is none.
func ended(kind uintptr, id int) (int, syscall.Errno) {
	var info endedChild
	for {
		//nolint:gosec // it is the 128 bytes of siginfo_t
		_, _, errno := syscall.Syscall6(syscall.SYS_WAITID, kind, uintptr(id), uintptr(unsafe.Pointer(&info)),
			waitExited|waitNoReap|waitNoHang, 0, 0)
		if !errors.Is(errno, syscall.EINTR) {
			return int(info.pid), errno
		}
	}
}
