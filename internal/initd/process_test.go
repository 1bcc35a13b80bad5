package initd_test

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/drengskapur/fastmcp-runner/internal/initd"
)

// The test binary is also the init, and one of the children that it looks
// after: a program that catches every signal and prints its name.
const (
	runInit       = "--init"
	reportSignals = "--report"
)

func TestMain(m *testing.M) {
	if len(os.Args) < 2 {
		m.Run()
		return
	}
	switch os.Args[1] {
	case runInit:
		syscall.Exit(playInit(os.Args[2], os.Args[3], os.Args[4:]))
	case reportSignals:
		syscall.Exit(playReporter(os.Stdout))
	}
	m.Run()
}

// How the init starts its child, if not simply.
const (
	session   = "session"   // in a session of its own
	powerless = "powerless" // as another user, whom it may not send a signal
)

// playInit looks after a child that gets all of its own streams and its
// descriptor 3.
func playInit(stopSignal, how string, argv []string) int {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if _, err := unix.FcntlInt(3, unix.F_GETFD, 0); err == nil {
		cmd.ExtraFiles = []*os.File{os.NewFile(3, "3")}
	}
	var opts initd.Options
	switch how {
	case session:
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	case powerless:
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 1000, Gid: 1000}}
		opts.Log = slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: withoutTime}))
		if err := dropCapability(unix.CAP_KILL); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 125
		}
	}
	if stopSignal != "" {
		sig, err := initd.ParseSignal(stopSignal)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 125
		}
		opts.StopSignal = sig
	}
	code, err := initd.Run(cmd, opts)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 125
	}
	return code
}

// dropCapability takes a capability from this thread, which runs all of the
// init: like Run, it stays on it.
func dropCapability(capability int) error {
	runtime.LockOSThread()
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	if err := unix.Capget(&header, &sets[0]); err != nil {
		return err
	}
	sets[0].Effective &^= 1 << capability
	return unix.Capset(&header, &sets[0])
}

func withoutTime(_ []string, attr slog.Attr) slog.Attr {
	if attr.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return attr
}

// playReporter prints one line for each signal, until its standard input ends.
func playReporter(stdout io.Writer) int {
	received := make(chan os.Signal, 64)
	signal.Notify(received)
	ended := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(ended)
	}()
	report(stdout, "ready")
	for {
		select {
		case sig := <-received:
			if sig != unix.SIGURG { // the Go runtime's own
				report(stdout, signalName(sig))
			}
		case <-ended:
			return 0
		}
	}
}

// report prints a line. Nobody hears it where that fails, and the test sees it.
func report(stdout io.Writer, line string) { _, _ = io.WriteString(stdout, line+"\n") }

// signalName tells all signals apart, the real-time ones by their number.
func signalName(sig os.Signal) string {
	number, ok := sig.(syscall.Signal)
	if !ok {
		return sig.String()
	}
	if name := unix.SignalName(number); name != "" {
		return name
	}
	return fmt.Sprint("signal ", int(number))
}

// process is an init with its child, seen from outside.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	stdin  io.Closer
	stdout *bufio.Reader
	stderr strings.Builder
}

// scenario is how an init is started.
type scenario struct {
	stopSignal string
	how        string
	argv       []string   // the child; nil is the one that reports signals
	extra      []*os.File // from descriptor 3 on
	before     []string   // a command that execs the init
}

// start starts an init, which is killed when the test ends.
func start(t *testing.T, s scenario) *process {
	t.Helper()
	p := &process{t: t, cmd: s.command(t)}
	stdin, err := p.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.stdin, p.stdout, p.cmd.Stderr = stdin, bufio.NewReader(stdout), &p.stderr
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	limit(t, stdout)
	return p
}

// limit has a test fail, and not hang, whose child says nothing.
func limit(t *testing.T, stdout io.Reader) {
	t.Helper()
	pipe, ok := stdout.(*os.File)
	if !ok {
		t.Fatalf("a pipe is no longer a file but %T", stdout)
	}
	if err := pipe.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
}

func (s scenario) command(t *testing.T) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	argv := s.argv
	if argv == nil {
		argv = []string{self, reportSignals}
	}
	argv = append(append(s.before, self, runInit, s.stopSignal, s.how), argv...)
	cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
	cmd.ExtraFiles = s.extra
	return cmd
}

// send sends a signal to the init.
func (p *process) send(sig syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		p.t.Fatal(err)
	}
}

// expect reads one line of the child.
func (p *process) expect(want string) {
	p.t.Helper()
	got, err := p.stdout.ReadString('\n')
	if err != nil || strings.TrimSuffix(got, "\n") != want {
		p.t.Fatalf("the child says %q, %v, want %q\n%s", got, err, want, p.stderr.String())
	}
}

// end ends the child's input and returns the exit code of the init.
func (p *process) end() int {
	p.t.Helper()
	if err := p.stdin.Close(); err != nil {
		p.t.Fatal(err)
	}
	rest, err := io.ReadAll(p.stdout)
	if err != nil || len(rest) > 0 {
		p.t.Errorf("the child says more: %q, %v", rest, err)
	}
	_ = p.cmd.Wait() // says what the state says
	return p.cmd.ProcessState.ExitCode()
}
