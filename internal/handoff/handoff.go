// Package handoff becomes the user of a launch plan and execs its program, so
// that the server replaces the runner and inherits nothing of it: no
// privilege, no descriptor, no signal mask.
//
// It knows nothing of what happened before: not where the program came from,
// and not whether it is any good.
package handoff

import (
	"errors"
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/drengskapur/fastmcp-runner/internal/fakeroot"
	"github.com/drengskapur/fastmcp-runner/internal/hint"
	"github.com/drengskapur/fastmcp-runner/internal/launch"
)

// Options say what a plan leaves open.
type Options struct {
	// Path is the file to exec, absolute; Argv[0] of the plan is what the
	// program sees as its name.
	Path string
	// Outside says that Path leads to the file from where this process is now:
	// it is opened before anything changes, and need be reachable neither in
	// Root nor for the plan's user.
	Outside bool
	// Keep are the descriptors above 2 that the program inherits.
	Keep []int
	// Dir is the directory to start in; empty means that of the plan.
	Dir string
	// Umask is the umask that the program gets. Its zero value is no good
	// default: give what the runner itself was started with.
	Umask int
	// Root is a directory that becomes the program's root; empty keeps the
	// runner's. Path and Dir are those inside of it.
	Root string
	// Mount shows the kernel's file systems and the container's /data in Root,
	// by a mount namespace of its own. It needs CAP_SYS_ADMIN; without Mount,
	// CAP_SYS_CHROOT is enough, and /proc and /sys are missing.
	Mount bool
	// Parent is the process with which the program shall die; 0 for none.
	Parent int
	// FakeRoot has calls that only root may make succeed without effect, for
	// entrypoints that expect to be root.
	FakeRoot bool
}

// Exec becomes the plan's user and replaces this process by the plan's
// program. It returns only if it fails, and then this process may have given
// up some of its privileges: all that is left to do is to report and end.
//
// A process that is root, or that holds CAP_SETUID, becomes the plan's user
// with that user's group as its only group. Any other process must be that
// user already. In each case the program starts without capabilities and
// without a way to gain them; only root itself, where the plan says so, keeps
// what the container gave it.
//
// The steps act on one thread. That is enough, although privileges on Linux
// belong to threads: execve(2) ends all other threads and the program goes on
// with the credentials of the calling one.
func Exec(plan launch.Plan, opts Options) error {
	// Without it, the Go scheduler could move us to a thread that is still
	// root between any two lines. Never unlocked: after an error this thread
	// is unlike the others, and nothing else may run on it.
	runtime.LockOSThread()
	program, err := findProgram(opts)
	if err != nil {
		return err
	}
	// Before the drop: it makes the process undumpable, after which its
	// /proc/self/fd belongs to root and could not be listed.
	if err := closeOnExec(opts.Keep); err != nil {
		return fmt.Errorf("cannot close the runner's descriptors: %w", err)
	}
	// Before the drop, which takes the right to do so. After it nothing of the
	// runner's own root can be named any more.
	if err := enterRoot(opts); err != nil {
		return err
	}
	if err := become(plan.User); err != nil {
		return err
	}
	// After the drop: the kernel forgets the wish when a process changes its
	// ids or capabilities.
	if err := dieWith(opts.Parent); err != nil {
		return fmt.Errorf("cannot die with the parent: %w", err)
	}
	// After the drop: root may enter directories that the user may not.
	if err := chdir(plan, opts); err != nil {
		return err
	}
	// Late: nothing but execve may create a file with this umask.
	unix.Umask(opts.Umask)
	// Last: a signal that was held back until now may end this process.
	if err := resetSignals(); err != nil {
		return fmt.Errorf("cannot reset the signals: %w", err)
	}
	// After the proof in become, which would take its answers for a way back
	// to root.
	if opts.FakeRoot {
		if err := fakeroot.Install(); err != nil {
			return err
		}
	}
	// PR_SET_DUMPABLE is left alone: execve sets it anew.
	return execError(opts.Path, program.exec(plan))
}

// dieWith has the kernel kill this process when its parent dies
// (PR_SET_PDEATHSIG). A parent that died just before would never be noticed.
func dieWith(parent int) error {
	if parent == 0 {
		return nil
	}
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		return err
	}
	if unix.Getppid() != parent {
		return errors.New("it is gone")
	}
	return nil
}

func chdir(plan launch.Plan, opts Options) error {
	dir := opts.Dir
	if dir == "" {
		dir = plan.Dir
	}
	if err := unix.Chdir(dir); err != nil {
		return hint.Add(fmt.Errorf("cannot enter the working directory %q as user %s: %w", dir, plan.User, err),
			"the image's WORKDIR must exist and be open to that user")
	}
	return nil
}

// resetSignals has the program begin with the default action of every signal,
// and with none held back. Handlers need nothing: execve resets what is caught,
// but neither what is ignored nor what is blocked (signal(7)).
func resetSignals() error {
	if err := catchIgnored(); err != nil {
		return err
	}
	var none unix.Sigset_t
	return unix.PthreadSigmask(unix.SIG_SETMASK, &none, nil)
}

// ExecError says that the program itself could not be started.
type ExecError struct {
	// Path is the file that was to be executed.
	Path string
	// Err is what execve(2) said.
	Err error
}

func (e *ExecError) Error() string { return fmt.Sprintf("cannot exec %q: %v", e.Path, e.Err) }

func (e *ExecError) Unwrap() error { return e.Err }

// ExitCode is that of a shell: 127 when the program was not found, 126 when it
// cannot be executed.
func (e *ExecError) ExitCode() int {
	if errors.Is(e.Err, unix.ENOENT) {
		return 127
	}
	return 126
}

// execError is an ExecError with what the cause may be as its hint. Package
// program knows it exactly; this is for what changed after it looked.
func execError(path string, err error) error {
	failed := &ExecError{Path: path, Err: err}
	switch {
	case errors.Is(err, unix.ENOENT):
		return hint.Add(failed, "the file, or the interpreter that it names, does not exist")
	case errors.Is(err, unix.ENOEXEC):
		return hint.Add(failed, "the file is neither a program for this machine nor a script that begins with #!")
	case errors.Is(err, unix.EACCES):
		return hint.Add(failed, "the file is not executable for this user, or its file system is mounted noexec")
	case errors.Is(err, unix.E2BIG):
		return hint.Add(failed, "the command or the environment is too long; a single variable may have 128 KiB")
	}
	return failed
}
