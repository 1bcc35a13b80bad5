// Package daemon runs the programs of others that tests and benchmarks need
// beside them, such as a registry or a container engine.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

const (
	pollInterval = 20 * time.Millisecond
	timeout      = 30 * time.Second // to be ready, and to stop
)

// Daemon is a program that runs until it is stopped, or this process ends.
type Daemon struct {
	// Log is the file that takes what the program prints.
	Log string

	cmd   *exec.Cmd
	ended chan struct{}
	err   error // how it ended
}

// Start starts a program whose output goes to the file log.
func Start(log string, cmd *exec.Cmd) (*Daemon, error) {
	file, err := os.Create(log) //nolint:gosec // G304: the name is the caller's
	if err != nil {
		return nil, err
	}
	defer file.Close()
	cmd.Stdout, cmd.Stderr = file, file
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	d := &Daemon{Log: log, cmd: cmd, ended: make(chan struct{})}
	started := make(chan error)
	go func() {
		// The parent whose death the child hears of is this thread and not
		// the process, see PR_SET_PDEATHSIG in prctl(2): so it waits here.
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			d.err = cmd.Wait()
		}
		close(d.ended)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return d, nil
}

// Ready waits until check passes. It gives up when the program ends, and says
// what it printed last.
func (d *Daemon) Ready(ctx context.Context, check func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		err := check(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
			continue
		case <-d.ended:
			err = errors.Join(err, d.err)
		case <-ctx.Done():
		}
		return fmt.Errorf("cannot start %s: %w\n%s", d.cmd.Path, err, d.Tail())
	}
}

// PID returns the program's process ID.
func (d *Daemon) PID() int { return d.cmd.Process.Pid }

// Tail returns the end of what the program printed.
func (d *Daemon) Tail() []byte { return Tail(d.Log) }

// Tail returns the last part of a log.
func Tail(name string) []byte {
	const most = 2000
	log, err := os.ReadFile(name) //nolint:gosec // G304: a log of ours
	if err != nil {
		return []byte(err.Error())
	}
	return log[max(0, len(log)-most):]
}

// Stop asks the program to end and makes sure that it does.
func (d *Daemon) Stop() error {
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-d.ended:
		return nil
	case <-time.After(timeout):
	}
	if err := d.cmd.Process.Kill(); err != nil {
		return err
	}
	<-d.ended
	return fmt.Errorf("%s did not stop within %s and was killed", d.cmd.Path, timeout)
}
