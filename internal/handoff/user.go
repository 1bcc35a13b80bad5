package handoff

import (
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/drengskapur/fastmcp-runner/internal/hint"
	"github.com/drengskapur/fastmcp-runner/internal/ids"
)

// become makes the calling thread run as user, for good, and proves it.
func become(user ids.User) error {
	if user.UID == 0 {
		return stayRoot(user)
	}
	changes := !isAlready(user)
	if changes {
		if err := mayChange(user); err != nil {
			return err
		}
	}
	// Before setresuid, which takes CAP_SETPCAP away: the bounding set could
	// no longer be changed.
	if err := dropBoundingSet(); err != nil {
		return fmt.Errorf("cannot drop the capability bounding set: %w", err)
	}
	if changes {
		if err := setUser(user); err != nil {
			return hint.Add(fmt.Errorf("cannot drop root: %w", err),
				fmt.Sprintf("the container must start as root with CAP_SETUID and CAP_SETGID, or as user %s", user))
		}
	}
	// After setresuid: until then the capabilities are what permits it. The
	// kernel clears most of them by itself when root becomes somebody else,
	// but not the inheritable ones, none under some securebits, and none for
	// a process that was no root (capabilities(7)).
	if err := clearCapabilities(); err != nil {
		return fmt.Errorf("cannot drop all capabilities: %w", err)
	}
	// From here on execve ignores setuid bits and file capabilities.
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("cannot set no_new_privs: %w", err)
	}
	// After all of it, or it would prove less than the program gets.
	if err := prove(user); err != nil {
		return fmt.Errorf("cannot drop root: %w", err)
	}
	if changes {
		return proveGroups(user)
	}
	return nil
}

// stayRoot hands over to root with the group of the plan. The capabilities stay,
// because somebody who asks for root wants what it can do in this container;
// but nothing that it starts can gain more.
func stayRoot(user ids.User) error {
	if uid := unix.Geteuid(); uid != 0 {
		return hint.Add(fmt.Errorf("cannot become root: this process is user %d", uid),
			"start the container as root, or leave RUNNER_USER unset")
	}
	if !isAlready(user) {
		if err := setUser(user); err != nil {
			return fmt.Errorf("cannot become user %s: %w", user, err)
		}
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("cannot set no_new_privs: %w", err)
	}
	return nil
}

// isAlready reports whether all ids are the user's, so that none is kept
// somewhere to come back to.
func isAlready(user ids.User) bool {
	return resuid() == three(user.UID) && resgid() == three(user.GID)
}

// mayChange refuses early, with the reason, what setresuid would refuse.
func mayChange(user ids.User) error {
	uid, gid := unix.Geteuid(), unix.Getegid()
	if uid == 0 {
		return nil
	}
	held, err := capabilities()
	if err != nil {
		return fmt.Errorf("cannot read the capabilities of this process: %w", err)
	}
	if held[0].Effective&(1<<unix.CAP_SETUID) != 0 {
		return nil
	}
	return hint.Add(fmt.Errorf("cannot become user %s: this process is user %d:%d without CAP_SETUID", user, uid, gid),
		fmt.Sprintf("set RUNNER_USER to %d:%d, or start the container as root", uid, gid))
}

// setUser changes groups, group and user in the one order in which each step
// may still be taken.
func setUser(user ids.User) error {
	// First, while CAP_SETGID is there: otherwise the program keeps root's
	// supplementary groups. The user's own group is among them, because a
	// setgid program could shed it otherwise, and with it every denial of
	// access by group (CVE-2022-36109).
	if err := unix.Setgroups([]int{int(user.GID)}); err != nil {
		return fmt.Errorf("setgroups: %w", err)
	}
	// Before setresuid: an ordinary user cannot change its group.
	if err := setres(unix.SYS_SETRESGID, user.GID); err != nil {
		return fmt.Errorf("setresgid: %w", err)
	}
	// Last: it ends every privilege that the steps above need.
	if err := setres(unix.SYS_SETRESUID, user.UID); err != nil {
		return fmt.Errorf("setresuid: %w", err)
	}
	return nil
}

// setres sets the real, effective and saved id of the calling thread alone;
// unix.Setresuid would stop every thread of the program and set it there too.
func setres(call uintptr, id uint32) error {
	if _, _, errno := unix.RawSyscall(call, uintptr(id), uintptr(id), uintptr(id)); errno != 0 {
		return errno
	}
	return nil
}

// prove asks the kernel whether what was done holds.
func prove(user ids.User) error {
	if _, _, errno := unix.RawSyscall(unix.SYS_SETUID, 0, 0, 0); errno == 0 {
		return errors.New("the process can still become root")
	}
	if got := resuid(); got != three(user.UID) {
		return fmt.Errorf("the user ids are %d, not %d", got, user.UID)
	}
	if got := resgid(); got != three(user.GID) {
		return fmt.Errorf("the group ids are %d, not %d", got, user.GID)
	}
	held, err := capabilities()
	if err != nil {
		return fmt.Errorf("reading the capabilities: %w", err)
	}
	if held != (capabilitySets{}) {
		return fmt.Errorf("the process still has capabilities: %+v", held)
	}
	set, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)
	if err != nil {
		return fmt.Errorf("reading no_new_privs: %w", err)
	}
	if set != 1 {
		return errors.New("no_new_privs is not set")
	}
	return nil
}

// proveGroups is only for who changed its groups: an ordinary user cannot,
// and keeps what the container gave it.
func proveGroups(user ids.User) error {
	groups, err := unix.Getgroups()
	if err != nil {
		return fmt.Errorf("cannot read the groups of this process: %w", err)
	}
	if !slices.Equal(groups, []int{int(user.GID)}) {
		return fmt.Errorf("cannot drop root: the groups are %d, not %d alone", groups, user.GID)
	}
	return nil
}

// three is a real, effective and saved id.
func three(id uint32) [3]int { return [3]int{int(id), int(id), int(id)} }

func resuid() [3]int {
	r, e, s := unix.Getresuid()
	return [3]int{r, e, s}
}

func resgid() [3]int {
	r, e, s := unix.Getresgid()
	return [3]int{r, e, s}
}
