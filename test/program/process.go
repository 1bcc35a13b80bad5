package program

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long a program may take to end.
const patience = 30 * time.Second

// Process is a program that runs and serves.
type Process struct {
	// Port is where it serves, on 127.0.0.1.
	Port string

	t    *testing.T
	cmd  *exec.Cmd
	log  buffer
	over chan struct{} // closed when it has ended
}

// buffer may be read while it is written.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// Start starts the program at a port of 127.0.0.1, with an environment of its
// own. It ends with the test at the latest, and its log is shown if that fails.
func (p Program) Start(t *testing.T, port string, args []string, environ ...string) *Process {
	t.Helper()
	//nolint:gosec // G204: what tests ask for is no input
	r := &Process{Port: port, t: t, over: make(chan struct{}), cmd: exec.CommandContext(context.WithoutCancel(t.Context()), p.Path(t), args...)}
	r.cmd.Env = append([]string{"PATH=/usr/bin:/bin", "PORT=" + port, "MCP_HOST=127.0.0.1"}, environ...)
	r.cmd.Stderr = &r.log
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	failed := make(chan error, 1)
	go func() {
		failed <- r.cmd.Wait()
		close(r.over)
	}()
	t.Cleanup(func() {
		r.stop()
		if err := <-failed; err != nil {
			if _, ok := errors.AsType[*exec.ExitError](err); !ok {
				t.Error(err)
			}
		}
		if t.Failed() {
			t.Logf("the log:\n%s", &r.log)
		}
	})
	return r
}

// stop ends the program as a platform does.
func (r *Process) stop() {
	if err := r.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		r.t.Error(err)
	}
	select {
	case <-r.over:
	case <-time.After(patience):
		r.t.Error("the program does not end, it is killed")
		if err := r.cmd.Process.Kill(); err != nil {
			r.t.Error(err)
		}
	}
}

// URL returns the address of a path.
func (r *Process) URL(path string) string { return "http://127.0.0.1:" + r.Port + path }

// Log returns what the program has written so far.
func (r *Process) Log() string { return r.log.String() }

// PID is its process id.
func (r *Process) PID() int { return r.cmd.Process.Pid }

// End sends a signal and returns the exit status, and how long that took.
func (r *Process) End(sig syscall.Signal) (status int, took time.Duration) {
	r.t.Helper()
	begin := time.Now()
	if err := r.cmd.Process.Signal(sig); err != nil {
		r.t.Error(err)
	}
	return r.Wait(), time.Since(begin)
}

// Wait waits for the end and returns the exit status; -1 for one by a signal.
func (r *Process) Wait() int {
	r.t.Helper()
	select {
	case <-r.over:
		return r.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		r.t.Fatal("the program does not end")
		return 0
	}
}
