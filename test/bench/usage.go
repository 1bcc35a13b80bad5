package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// usage is what a run cost.
type usage struct {
	Wall   time.Duration
	CPU    time.Duration // in user and system mode, of the program and all that it started
	RSS    int64         // bytes that the largest of these processes held at most
	Passed int64         // bytes that all of them handed to write(2) and its kin
	Disk   int64         // bytes that were written to the disk by it, until after a sync
	Others disturbance   // what else the machine did
}

// measureArg makes this program the one that measures another: a process of
// its own, so that the children's peak of memory is not that of a large parent,
// which getrusage(2) counts until they call execve(2).
const measureArg = "measure"

// measure runs a program and returns what it cost, without Disk and Others.
func measure(ctx context.Context, log *os.File, env, args []string) (usage, error) {
	self, err := os.Executable()
	if err != nil {
		return usage{}, err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return usage{}, err
	}
	defer r.Close()
	cmd := command(ctx, self, append([]string{measureArg}, args...)...)
	cmd.Env = append(cmd.Environ(), env...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = []*os.File{w}
	err = cmd.Start()
	if err := errors.Join(err, w.Close()); err != nil {
		return usage{}, err
	}
	said, err := io.ReadAll(r)
	if err := errors.Join(err, cmd.Wait()); err != nil {
		return usage{}, fmt.Errorf("%s: %w", strings.Join(args, " "), err)
	}
	var u usage
	return u, json.Unmarshal(said, &u)
}

// answerFD is where the measuring process says what it measured.
const answerFD = 3

// measuring is the measuring process.
func measuring(args []string) error {
	syscall.CloseOnExec(answerFD)
	cmd := exec.Command(args[0], args[1:]...) //nolint:noctx // what our own parent says; it kills us both
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	runtime.LockOSThread() // It is the death of a thread that the child hears of.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return err
	}
	// A process that has ended can be asked what it wrote until it is reaped.
	for {
		err := unix.Waitid(unix.P_PID, cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if err == nil {
			break
		}
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
	u := usage{Wall: time.Since(start)}
	passed, passedErr := passedBytes(cmd.Process.Pid)
	if err := errors.Join(cmd.Wait(), passedErr); err != nil {
		return err
	}
	u.CPU = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	u.Passed = passed
	if r, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		u.RSS = r.Maxrss << 10 // In KiB, see getrusage(2).
	}
	return json.NewEncoder(os.NewFile(answerFD, "answer")).Encode(u)
}

// passedBytes returns wchar of /proc/PID/io, which includes the children that
// were waited for.
func passedBytes(pid int) (int64, error) {
	body, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(body)) {
		if n, ok := strings.CutPrefix(line, "wchar: "); ok {
			return strconv.ParseInt(strings.TrimSpace(n), 10, 64)
		}
	}
	return 0, fmt.Errorf("no wchar in /proc/%d/io", pid)
}

// command is a program of this machine, or one of ours.
func command(ctx context.Context, name string, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, name, args...)
}
