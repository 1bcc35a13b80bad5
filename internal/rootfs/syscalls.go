package rootfs

import (
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// futimens sets both times of an open file: utimensat(2) with a null path,
// which package unix has no function for.
func futimens(fd int, ts *[2]unix.Timespec) error {
	//nolint:gosec // the pointer is to a live array of the size that the call reads
	_, _, errno := unix.Syscall6(unix.SYS_UTIMENSAT, uintptr(fd), 0, uintptr(unsafe.Pointer(ts)), 0, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// procPath names an open descriptor of this process.
func procPath(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }
