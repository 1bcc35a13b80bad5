package main

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
	pollInterval  = 20 * time.Millisecond
	daemonTimeout = 30 * time.Second // to be ready, and to stop
)

// daemon is a program that runs until it is stopped, or this process ends.
type daemon struct {
	cmd   *exec.Cmd
	log   string // the file that takes what it prints
	ended chan struct{}
	err   error // how it ended
}

// startDaemon starts a program whose output goes to a file.
func startDaemon(log string, cmd *exec.Cmd) (*daemon, error) {
	file, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	cmd.Stdout, cmd.Stderr = file, file
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	d := &daemon{cmd: cmd, log: log, ended: make(chan struct{})}
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

// ready waits until check passes.
func (d *daemon) ready(ctx context.Context, check func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, daemonTimeout)
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
		return fmt.Errorf("cannot start %s: %w\n%s", d.cmd.Path, err, d.tail())
	}
}

// tail returns the end of what the program printed.
func (d *daemon) tail() []byte { return tail(d.log) }

// tail returns the last part of a log.
func tail(name string) []byte {
	const most = 2000
	log, err := os.ReadFile(name)
	if err != nil {
		return []byte(err.Error())
	}
	return log[max(0, len(log)-most):]
}

// stop asks the program to end and makes sure that it does.
func (d *daemon) stop() error {
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-d.ended:
		return nil
	case <-time.After(daemonTimeout):
	}
	if err := d.cmd.Process.Kill(); err != nil {
		return err
	}
	<-d.ended
	return fmt.Errorf("%s did not stop within %s and was killed", d.cmd.Path, daemonTimeout)
}
