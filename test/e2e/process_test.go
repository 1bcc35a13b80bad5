package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
)

const (
	pollInterval  = 50 * time.Millisecond
	daemonTimeout = 30 * time.Second // to be ready, and to stop
)

// poll asks until the answer is nil or ctx is done; then the last answer says
// what was wrong.
func poll(ctx context.Context, ask func(context.Context) error) error {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		err := ask(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return err
		}
	}
}

// output runs a program and returns what it wrote to standard output. An error
// holds what it wrote to standard error.
func output(cmd *exec.Cmd) (string, error) {
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, stderr.Bytes())
	}
	return stdout.String(), nil
}

// daemon is a program that runs until it is stopped, or this process ends.
type daemon struct {
	cmd   *exec.Cmd
	log   string // the file that takes what it prints
	ended chan struct{}
	err   error // how it ended
}

// startDaemon starts a program whose output goes to a file.
func startDaemon(log, program string, args ...string) (*daemon, error) {
	file, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	cmd := exec.Command(program, args...)
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
	err := poll(ctx, func(ctx context.Context) error {
		select {
		case <-d.ended:
			cancel()
			return errors.New(d.cmd.ProcessState.String())
		default:
			return check(ctx)
		}
	})
	if err == nil {
		return nil
	}
	printed, readErr := os.ReadFile(d.log)
	return fmt.Errorf("cannot start %s: %w\n%s", d.cmd.Path, errors.Join(err, readErr), tail(printed))
}

// tail returns the end of a log.
func tail(log []byte) []byte {
	const most = 2000
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
