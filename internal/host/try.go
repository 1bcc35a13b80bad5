package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// tryTimeout bounds one run of a command that does nothing.
const tryTimeout = 10 * time.Second

// attempts finds out what the host allows by doing it to a child that ends at
// once, because nothing else tells: seccomp filters, AppArmor, sysctls and
// capabilities all have a say, and most of them cannot be asked.
type attempts struct {
	command []string
	works   func() error // whether the command runs at all
}

func newAttempts(ctx context.Context, command []string) attempts {
	return attempts{command, sync.OnceValue(func() error { return run(ctx, command, &syscall.SysProcAttr{}) })}
}

// try runs the command with attributes that need a right. If it does not run
// without them either, its failure says nothing about the host.
func (a attempts) try(ctx context.Context, attributes *syscall.SysProcAttr) Answer {
	if len(a.command) == 0 {
		return Answer{Cause: "not tried"}
	}
	err := run(ctx, a.command, attributes)
	if err == nil {
		return Answer{Verdict: Yes}
	}
	if err := a.works(); err != nil {
		return Answer{Cause: fmt.Sprintf("cannot run %q: %s", a.command[0], cause(err))}
	}
	return answer(err)
}

func run(ctx context.Context, command []string, attributes *syscall.SysProcAttr) error {
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...) //nolint:gosec // the caller's own program
	cmd.Env = []string{}                                        // ours holds secrets
	cmd.SysProcAttr = attributes
	return cmd.Run()
}

// userNamespace makes a user namespace in which the child keeps its ids, and
// in it a mount namespace. A namespace is no use if nothing can be mounted in
// it, as where AppArmor restricts unprivileged ones: unshare therefore, and not
// a flag of clone, because package syscall then also does a first mount(2), to
// make all mounts private.
func userNamespace() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{
		Cloneflags:   syscall.CLONE_NEWUSER,
		Unshareflags: syscall.CLONE_NEWNS,
		UidMappings:  []syscall.SysProcIDMap{{ContainerID: os.Geteuid(), HostID: os.Geteuid(), Size: 1}},
		GidMappings:  []syscall.SysProcIDMap{{ContainerID: os.Getegid(), HostID: os.Getegid(), Size: 1}},
	}
}

// mountNamespace makes a mount namespace, and does a mount(2) in it.
func mountNamespace() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
}

// sameRoot calls chroot(2) without consequence.
func sameRoot() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Chroot: "/"} //nolint:forbidigo // of a child that ends at once
}

// answer turns the outcome of an attempt into a yes or a no.
func answer(err error) Answer {
	if err == nil {
		return Answer{Verdict: Yes}
	}
	return Answer{Verdict: No, Cause: cause(err)}
}

// cause shortens an error to its name, such as "EPERM", if it has one.
func cause(err error) string {
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		if name := unix.ErrnoName(errno); name != "" {
			return name
		}
	}
	return err.Error()
}
