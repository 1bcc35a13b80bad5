// Package fakeroot lets the entrypoints that begin as root, give files away and
// then become somebody else, run as an ordinary user: a seccomp filter has the
// calls that would be refused return success without effect.
//
// It is no sandbox: it forbids nothing, and what a program may do stays exactly
// what it was. It knows nothing of images or of whether one needs it.
//
// # What is answered
//
// chown, fchown, lchown, fchownat, setuid, setreuid, setresuid, setgid,
// setregid, setresgid and setgroups return 0. C libraries and language runtimes
// make seteuid, setegid, initgroups and the like of these. So the usual
//
//	chown -R app /data && exec gosu app "$@"
//
// goes through, and the server runs as the user who we are. The same holds for
// su-exec, setpriv, start-stop-daemon, install -o, tar --same-owner and the
// setuid of Python, Perl and Go. None of them looks afterwards at what it
// became; gosu and su-exec call setgroups, setgid and setuid in turn, heed
// their errors, and exec.
//
// # What tells the truth
//
// getuid, getgroups, stat and their kin are not touched. A filter has no
// memory: were getuid to say 0 for gosu, it would say 0 for the server too, and
// PostgreSQL, for one, refuses to run as root. It would send programs on ways
// that only root can go. And with the truth, much comes out right by itself: a
// script that asks whether "id -u" is 0 takes its branch for ordinary users,
// and a server that insists on owning its files does own them.
//
// setfsuid and setfsgid are not answered because they never fail; what they
// return is the id before, and 0 would be a lie. capset is not: giving up what
// one does not have succeeds anyway, and a program that was told that it may
// bind port 80 would fail later and more oddly. mknod is not: it also makes
// fifos, which work, and a device that was "made" and is not there helps
// nobody.
//
// # What is not fooled
//
// Who asks first: su, runuser and supervisord's user= refuse anybody but root.
// Who looks afterwards: all that compare getuid with what they asked for, or
// that make sure that setuid(0) no longer works, as Celery's --uid does: it
// does "work". sudo cannot, because it relies on its setuid bit. In a user
// namespace that a program makes for itself, where these calls would mean
// something, they have no effect either. And nothing is given to anybody: a
// file that the user could not write before "chown" cannot be written after it.
package fakeroot

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Install makes the calling thread one whose changes of owners and ids succeed
// without effect, as described above, and sets no_new_privs, without which an
// ordinary user may install no filter. Both are kept by execve and inherited by
// children; neither can be taken back.
//
// It belongs right before execve, after everything that means such a call: from
// then on setuid(0) succeeds, which would look like a way back to root. It must
// not be followed by anything but execve, because it acts on one thread only.
// SECCOMP_FILTER_FLAG_TSYNC, which acts on all, is not needed, as execve ends
// the other threads, and would fail if one of them had a filter of its own. The
// goroutine stays locked to the thread for good.
func Install() error {
	// Never unlocked: whatever else the scheduler put on this thread would be
	// lied to.
	runtime.LockOSThread()
	// First: without it, the kernel asks for CAP_SYS_ADMIN.
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("cannot set no_new_privs: %w", err)
	}
	if err := setFilter(filter(abis())); err != nil {
		return fmt.Errorf("cannot install the seccomp filter of the fake root: %w", err)
	}
	return nil
}

// setFilter adds the filter to those that the thread may have. The strictest
// answer of all filters counts, and among equal ones that of the newest. So it
// also answers what the container's own profile refuses with an error.
func setFilter(program []unix.SockFilter) error {
	// Before Linux 5.16, a filter takes speculation away from the program that
	// runs under it, because it could be hostile code in a sandbox. There is
	// no sandbox here, and it would make everything slower.
	err := seccomp(program, unix.SECCOMP_FILTER_FLAG_SPEC_ALLOW)
	if errors.Is(err, unix.EINVAL) { // before Linux 4.17, and on gVisor
		return seccomp(program, 0)
	}
	return err
}

// seccomp installs a filter by seccomp(2), which package unix has no function
// for.
func seccomp(program []unix.SockFilter, flags uintptr) error {
	fprog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]} //nolint:gosec // about a hundred instructions
	//nolint:gosec // the pointer is to a live struct of the kind that the call reads
	_, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&fprog)))
	if errno != 0 {
		return errno
	}
	return nil
}
