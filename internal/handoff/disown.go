package handoff

import (
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Disown sees to it that no program that this process starts, or becomes,
// inherits what this process did beyond its standard streams: every descriptor
// above 2 is closed by execve(2), and every signal that is ignored has its
// default action again, as nohup(1) and the background jobs of shells would not
// have it. It is called once, before anything is started; a descriptor that is
// to be passed on is named then, by Options.Keep or as a file of the child.
//
// For this process itself little changes: it goes on reading from descriptors, and
// SIGHUP and SIGINT have no effect if it was to ignore them; SIGTERM and SIGQUIT
// have, since the Go runtime heeds them in any case. But where signals are held
// back, restart is called, which is to execute the program anew: the Go runtime
// gives every child the mask that its process was started with.
func Disown(restart func() error) error {
	if err := releaseBlocked(restart); err != nil {
		return fmt.Errorf("cannot release the signals that are held back: %w", err)
	}
	if err := closeAllOnExec(); err != nil {
		return fmt.Errorf("cannot close what the runner inherited: %w", err)
	}
	if err := catchIgnored(); err != nil {
		return fmt.Errorf("cannot reset the signals that are ignored: %w", err)
	}
	return nil
}

func releaseBlocked(restart func() error) error {
	// A mask is a thread's; execve(2) goes on with that of the one that calls it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var none, blocked unix.Sigset_t
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, &none, &blocked); err != nil || blocked == none {
		return err
	}
	return restart()
}

// lastSignal is the highest number of a signal on amd64 and arm64.
const lastSignal = 64

// catchIgnored catches the signals that are ignored, for nobody: what is caught
// has its default action in a child of the Go runtime and after execve(2), what
// is ignored stays so (signal(7)). Those that the Go runtime does not give out
// are the C libraries' own; glibc's posix_spawn leaves them ignored.
func catchIgnored() error {
	nobody := make(chan os.Signal, 1)
	for sig := unix.Signal(1); sig <= lastSignal; sig++ {
		if !isIgnored(sig) {
			continue
		}
		if signal.Notify(nobody, sig); !isIgnored(sig) {
			continue
		}
		if err := sigaction(sig, &action{}, nil); err != nil {
			return fmt.Errorf("rt_sigaction %d: %w", sig, err)
		}
	}
	return nil
}

// action is the kernel's struct sigaction on amd64 and arm64. Its zero value
// stands for the default action.
type action struct {
	handler, flags, restorer uintptr
	mask                     uint64
}

const ignore = 1 // SIG_IGN of linux/signal-defs.h

// isIgnored asks the kernel: signal.Ignored knows only some of what was ignored
// when the process started.
func isIgnored(sig unix.Signal) bool {
	var a action
	return sigaction(sig, nil, &a) == nil && a.handler == ignore
}

func sigaction(sig unix.Signal, wanted, found *action) error {
	//nolint:gosec // the pointers are to what rt_sigaction(2) reads and writes
	_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(sig),
		uintptr(unsafe.Pointer(wanted)), uintptr(unsafe.Pointer(found)), unsafe.Sizeof(action{}.mask), 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}
