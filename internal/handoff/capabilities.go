package handoff

import (
	"errors"

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
