package initd

import (
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"

	"golang.org/x/sys/unix"
)

// lastSignal is the highest number of a signal on amd64 and arm64.
const lastSignal = 64

// listen begins to receive every signal that is meant for the child, also one
// that is ignored, as nohup(1) has it: it is the child that decides.
func listen() chan os.Signal {
	var wanted []os.Signal
	for sig := unix.Signal(1); sig <= lastSignal; sig++ {
		if meantForChild(sig) {
			wanted = append(wanted, sig)
		}
	}
	// Room for each of them once, because package signal does not wait for a
	// receiver. While a signal is pending, the kernel does not count it twice
	// either.
	received := make(chan os.Signal, len(wanted))
	signal.Notify(received, wanted...)
	return received
}

// meantForChild leaves out what the kernel or the Go runtime sends to this
// very process, and what cannot be caught. Signals 32 to 34 belong to C
// libraries; the Go runtime does not give them out.
func meantForChild(sig unix.Signal) bool {
	switch sig {
	case unix.SIGKILL, unix.SIGSTOP: // cannot be caught
		return false
	case unix.SIGILL, unix.SIGTRAP, unix.SIGABRT, unix.SIGBUS, unix.SIGFPE, unix.SIGSEGV, unix.SIGSYS: // faults of this program
		return false
	case unix.SIGCHLD, unix.SIGPIPE, unix.SIGTTIN, unix.SIGTTOU: // about its own children, pipes and terminal
		return false
	case unix.SIGURG, unix.SIGPROF: // the Go runtime's means of preempting and profiling
		return false
	default:
		return true
	}
}

// forward passes a signal on to the child, translated if it is one that asks it
// to stop.
func (o Options) forward(cmd *exec.Cmd, received os.Signal) {
	sig := received
	if o.StopSignal != 0 && (received == unix.SIGTERM || received == unix.SIGINT) {
		sig = o.StopSignal
	}
	err := cmd.Process.Signal(sig)
	if err == nil || errors.Is(err, os.ErrProcessDone) {
		return
	}
	// No reason to end: the child still runs.
	o.log().Warn("Cannot pass on a signal", "signal", sig.String(), "reason", err)
}

func (o Options) log() *slog.Logger {
	if o.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return o.Log
}
