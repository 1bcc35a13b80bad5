// Package initd is an init for one child: it stays while the child runs,
// passes signals on to it, reaps every process that the child leaves behind,
// and tells how the child ended.
//
// It knows nothing of what the child is: its program, user, namespace and
// environment are the caller's business.
package initd

import (
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// Options say how a child is looked after.
type Options struct {
	// StopSignal is what the child gets where SIGTERM or SIGINT is sent to this
	// process; zero means the signal that was sent.
	StopSignal unix.Signal
	// Started is called once the child runs; nil calls nothing.
	Started func() error
	// Log is told of a signal that could not be passed on; nil tells nobody.
	Log *slog.Logger
}

// Run starts cmd, which must not be started yet, and returns when it has ended:
// its exit status, or 128+n if signal n ended it.
//
// Until then the process is an init, whether it is PID 1 or not. Orphans
// become its children, and it reaps all children. Nothing else in this process
// may wait for a child of its own meanwhile.
//
// Signals go to the child alone and not to its process group, as in tini: it
// is the child that knows what its own children should hear, and in which
// order. There is no timer that kills it; who sends SIGTERM has one. SIGTERM
// sent twice arrives twice.
//
// The child begins in a process group of its own, unless cmd asks for a session,
// and gets the terminal if this process has it in the foreground: what is
// typed there goes to the child directly and not a second time through here.
//
// When this process is killed, so is the child, but not what the child has
// started; PID 1 takes everything with it. The kernel forgets that wish
// (PR_SET_PDEATHSIG, prctl(2)) when the child changes its ids, and when it
// executes a setuid program or one with file capabilities: a child that does
// has to renew it.
func Run(cmd *exec.Cmd, opts Options) (code int, err error) {
	// The kernel takes the end of the thread that started the child for the
	// death of the parent.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return 0, fmt.Errorf("cannot become the reaper of orphans: %w", err)
	}
	// Before the start, so that no signal is lost: what comes too early waits
	// until there is a child.
	signals := listen()
	defer signal.Stop(signals)
	cmd.SysProcAttr = attributes(cmd.SysProcAttr)
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("cannot start %q: %w", cmd.Path, err)
	}
	if opts.Started != nil {
		if err := opts.Started(); err != nil {
			return 0, err
		}
	}
	ended := make(chan error, 1)
	go func() { ended <- reapUntil(cmd) }()
	for {
		select {
		case sig := <-signals:
			opts.forward(cmd, sig)
		case err := <-ended:
			if err != nil {
				return 0, fmt.Errorf("cannot wait for %q: %w", cmd.Path, err)
			}
			return exitCode(cmd.ProcessState), nil
		}
	}
}

// attributes completes what the caller wants of the child's start.
func attributes(wanted *syscall.SysProcAttr) *syscall.SysProcAttr {
	var attr syscall.SysProcAttr
	if wanted != nil {
		attr = *wanted
	}
	if attr.Pdeathsig == 0 {
		attr.Pdeathsig = unix.SIGKILL
	}
	if attr.Setsid { // the leader of a session leads its group as well
		return &attr
	}
	attr.Setpgid = true
	if inForeground(unix.Stdin) {
		attr.Foreground, attr.Ctty = true, unix.Stdin
	}
	return &attr
}

// inForeground reports whether fd is the terminal of this process and this
// process is the one that it listens to. From the background, it must not be
// taken away from others.
func inForeground(fd int) bool {
	group, err := unix.IoctlGetInt(fd, unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}

// exitCode is that of a shell.
func exitCode(state *os.ProcessState) int {
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return state.ExitCode()
}
