package handoff

import (
	"errors"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// capabilitySets are the effective, permitted and inheritable sets of a
// thread: the low 32 capabilities, then the high ones (capget(2)).
type capabilitySets [2]unix.CapUserData

// capabilities returns the sets of the calling thread.
func capabilities() (capabilitySets, error) {
	var sets capabilitySets
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	err := unix.Capget(&header, &sets[0])
	return sets, err
}

// clearCapabilities empties all sets of the calling thread.
func clearCapabilities() error {
	// EINVAL: the kernel has no ambient set. Where it has one, emptying the
	// permitted set below would empty it as well.
	err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
	if err != nil && !errors.Is(err, unix.EINVAL) {
		return err
	}
	var none capabilitySets
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	return unix.Capset(&header, &none[0])
}

// dropBoundingSet empties the set that bounds what execve can grant.
//
// In a container without CAP_SETPCAP it does nothing, and that is no error:
// the set only bounds what file capabilities and setuid bits grant, and
// no_new_privs, which Exec never does without, keeps these from granting
// anything.
func dropBoundingSet() error {
	for capability := uintptr(0); ; capability++ {
		err := unix.Prctl(unix.PR_CAPBSET_DROP, capability, 0, 0, 0)
		switch {
		case errors.Is(err, unix.EINVAL): // beyond the last one that the kernel knows
			return nil
		case errors.Is(err, unix.EPERM):
			return nil
		case err != nil:
			return err
		}
	}
}

// Abilities are what this process may do beyond an ordinary user.
type Abilities struct {
	Chown  bool // give files away: CAP_CHOWN
	Become bool // become another user: CAP_SETUID and CAP_SETGID
}

// Raise makes what the process is permitted effective, in all of its threads,
// and says what that comes to. A process that was started by an ordinary user
// from a file with permitted capabilities (capabilities(7), "File
// capabilities") has none in effect before. What the host withheld is simply
// not there.
func Raise() (Abilities, error) {
	sets, err := capabilities()
	if err != nil {
		return Abilities{}, err
	}
	if sets[0].Effective != sets[0].Permitted || sets[1].Effective != sets[1].Permitted {
		sets[0].Effective, sets[1].Effective = sets[0].Permitted, sets[1].Permitted
		if err := setAllThreads(sets); err != nil {
			return Abilities{}, err
		}
	}
	has := func(capability int) bool { return sets[0].Effective&(1<<capability) != 0 }
	return Abilities{
		Chown:  has(unix.CAP_CHOWN),
		Become: has(unix.CAP_SETUID) && has(unix.CAP_SETGID),
	}, nil
}

// setAllThreads sets the capabilities of every thread: files are written by
// whichever the scheduler picks.
func setAllThreads(sets capabilitySets) error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	//nolint:gosec // the pointers are to live structs of the kind that the call reads
	_, _, errno := syscall.AllThreadsSyscall(unix.SYS_CAPSET,
		uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&sets[0])), 0)
	if errno != 0 {
		return errno
	}
	return nil
}
