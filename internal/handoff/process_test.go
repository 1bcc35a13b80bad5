package handoff_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/drengskapur/fastmcp-runner/internal/handoff"
	"github.com/drengskapur/fastmcp-runner/internal/hint"
	"github.com/drengskapur/fastmcp-runner/internal/launch"
)

// The test binary is also the two programs that the tests run: the runner that
// hands over, and the server that reports what it was given.
const (
	runHandoff   = "--hand-off"
	reportServer = "--report"
)

func TestMain(m *testing.M) {
	if len(os.Args) < 2 {
		m.Run()
		return
	}
	var err error
	switch os.Args[1] {
	case runHandoff:
		err = playRunner(os.Stdin)
	case reportServer:
		err = json.NewEncoder(os.Stdout).Encode(observe())
	default:
		m.Run()
		return
	}
	if err != nil {
		describe(err)
		syscall.Exit(1) // an ordinary end costs a second under the race detector
	}
	syscall.Exit(0)
}

// describe prints an error as the tests expect it on standard error.
func describe(err error) {
	lines := []string{err.Error()}
	if text := hint.Of(err); text != "" {
		lines = append(lines, "hint: "+text)
	}
	if failed, ok := errors.AsType[*handoff.ExecError](err); ok {
		lines = append(lines, fmt.Sprintf("exit code %d", failed.ExitCode()))
	}
	_, _ = os.Stderr.WriteString(strings.Join(lines, "\n"))
}

// scenario is what the runner does before it hands over, and with what.
type scenario struct {
	Plan    launch.Plan
	Options handoff.Options

	Umask     int       // its own umask
	Leak      []string  // files that it holds open, not close-on-exec
	Keep      string    // a file that it hands on
	Block     bool      // SIGUSR1 is blocked
	Listen    bool      // it listens to SIGHUP and SIGTERM
	KeepCaps  bool      // setuid does not change capabilities
	Ambient   []uintptr // capabilities that it hands down
	Without   []uint    // capabilities that it lacks
	CloseBy   string    // the way to mark descriptors, instead of Exec's own
	NotAsRoot bool      // it begins as user 1000:1000
}

func playRunner(stdin io.Reader) error {
	var s scenario
	if err := json.NewDecoder(stdin).Decode(&s); err != nil {
		return err
	}
	runtime.LockOSThread()
	if err := s.prepare(); err != nil {
		return fmt.Errorf("preparing the test: %w", err)
	}
	if s.Keep != "" {
		fd, err := unix.Open(s.Keep, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		s.Options.Keep = []int{fd}
	}
	return handoff.Exec(s.Plan, s.Options)
}

func (s scenario) prepare() error {
	unix.Umask(s.Umask)
	for _, name := range s.Leak {
		if _, err := unix.Open(name, unix.O_RDONLY, 0); err != nil {
			return err
		}
	}
	if s.Block {
		usr1 := unix.Sigset_t{Val: [16]uint64{1 << (unix.SIGUSR1 - 1)}}
		if err := unix.PthreadSigmask(unix.SIG_BLOCK, &usr1, nil); err != nil {
			return err
		}
	}
	if s.Listen {
		signal.Notify(make(chan os.Signal, 1), unix.SIGHUP, unix.SIGTERM)
	}
	if s.KeepCaps {
		const noSetuidFixup = 1 << 2 // SECBIT_NO_SETUID_FIXUP, capabilities(7)
		if err := unix.Prctl(unix.PR_SET_SECUREBITS, noSetuidFixup, 0, 0, 0); err != nil {
			return err
		}
	}
	if err := s.changeCapabilities(); err != nil {
		return err
	}
	switch s.CloseBy {
	case "list":
		return handoff.CloseOnExecListed("/proc/self/fd")
	case "limit":
		return handoff.CloseOnExecBelowLimit()
	}
	return nil
}

func (s scenario) changeCapabilities() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	if err := unix.Capget(&header, &sets[0]); err != nil {
		return err
	}
	for _, capability := range s.Ambient {
		sets[0].Inheritable |= 1 << capability
	}
	for _, capability := range s.Without {
		sets[0].Effective &^= 1 << capability
		sets[0].Permitted &^= 1 << capability
	}
	if err := unix.Capset(&header, &sets[0]); err != nil {
		return err
	}
	for _, capability := range s.Ambient {
		if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_RAISE, capability, 0, 0); err != nil {
			return err
		}
	}
	return nil
}

// report is what a server finds when it starts.
type report struct {
	Args, Env   []string
	Dir         string
	PID         int
	Status      map[string]string // some fields of /proc/self/status
	Descriptors []string          // what each descriptor above 2 refers to
}

func observe() report {
	r := report{Args: os.Args, Env: syscall.Environ(), PID: os.Getpid(), Status: map[string]string{}}
	r.Descriptors = descriptors()
	r.Dir, _ = os.Readlink("/proc/self/cwd")
	status, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(line, ":")
		switch name {
		case "Uid", "Gid", "Groups", "Umask", "NoNewPrivs",
			"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "SigBlk", "SigIgn":
			r.Status[name] = strings.Join(strings.Fields(value), " ")
		}
	}
	return r
}

// descriptors leaves out what the Go runtime of this very program opens: the
// CPU limit of its cgroup.
func descriptors() []string {
	var targets []string
	for fd := 3; fd < 256; fd++ {
		target, err := os.Readlink(filepath.Join("/proc/self/fd", strconv.Itoa(fd)))
		if err == nil && !strings.HasPrefix(target, "/sys/fs/cgroup/") {
			targets = append(targets, target)
		}
	}
	return targets
}
