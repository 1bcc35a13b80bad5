package initd_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestRunReturnsHowTheChildEnded(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, script string
		want         int
	}{
		{"trap 57: success", "exit 0", 0},
		{"trap 57: a status passes through", "exit 7", 7},
		{"trap 57: a signal is 128 and its number", "kill -TERM $$", 128 + 15},
		{"trap 57: so is SIGKILL", "kill -KILL $$", 128 + 9},
		{"children of the child do not count", "(exit 3) & (exit 4); exit 5", 5},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := start(t, scenario{argv: []string{"/bin/sh", "-c", tt.script}})
			if got := p.end(); got != tt.want {
				t.Errorf("%s: the init ends with %d, want %d\n%s", tt.script, got, tt.want, p.stderr.String())
			}
		})
	}
}

func TestRunNamesWhatCannotBeStarted(t *testing.T) {
	t.Parallel()
	p := start(t, scenario{argv: []string{"/no/such/program"}})
	if got := p.end(); got != 125 {
		t.Errorf("the init ends with %d, want 125", got)
	}
	if want := `cannot start "/no/such/program": fork/exec /no/such/program: no such file or directory` + "\n"; p.stderr.String() != want {
		t.Errorf("it says %q, want %q", p.stderr.String(), want)
	}
}

func TestRunTranslatesWhatStops(t *testing.T) {
	t.Parallel()
	type exchange struct {
		sent     syscall.Signal
		received string
	}
	for _, tt := range []struct {
		name, stopSignal string
		exchanges        []exchange
	}{
		{
			"trap 57: SIGTERM and SIGINT become the image's StopSignal, and nothing else does", "SIGQUIT",
			[]exchange{
				{unix.SIGTERM, "SIGQUIT"},
				{unix.SIGINT, "SIGQUIT"},
				{unix.SIGHUP, "SIGHUP"},
				{unix.SIGQUIT, "SIGQUIT"},
			},
		},
		{"a real-time signal", "SIGRTMIN+3", []exchange{{unix.SIGTERM, "signal 37"}}},
		{"no StopSignal", "", []exchange{{unix.SIGTERM, "SIGTERM"}, {unix.SIGINT, "SIGINT"}}},
		{"SIGTERM sent twice arrives twice", "", []exchange{{unix.SIGTERM, "SIGTERM"}, {unix.SIGTERM, "SIGTERM"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := start(t, scenario{stopSignal: tt.stopSignal})
			p.expect("ready")
			for _, e := range tt.exchanges {
				p.send(e.sent)
				p.expect(e.received)
			}
			if got := p.end(); got != 0 {
				t.Errorf("the init ends with %d\n%s", got, p.stderr.String())
			}
		})
	}
}

func TestRunPassesOnEverySignalOnceAndInOrder(t *testing.T) {
	t.Parallel()
	p := start(t, scenario{})
	p.expect("ready")
	own := []syscall.Signal{
		unix.SIGKILL, unix.SIGSTOP,
		unix.SIGILL, unix.SIGTRAP, unix.SIGABRT, unix.SIGBUS, unix.SIGFPE, unix.SIGSEGV, unix.SIGSYS,
		unix.SIGCHLD, unix.SIGPIPE, unix.SIGTTIN, unix.SIGTTOU, unix.SIGURG, unix.SIGPROF,
		32, 33, 34,
	}
	for sig := syscall.Signal(1); sig <= 64; sig++ {
		if !slices.Contains(own, sig) {
			p.send(sig)
			p.expect(signalName(sig))
		}
	}
	if got := p.end(); got != 0 {
		t.Errorf("the init ends with %d\n%s", got, p.stderr.String())
	}
}

func TestRunReapsOrphans(t *testing.T) {
	t.Parallel()
	const orphans = 100
	release, hold, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer release.Close()
	defer hold.Close()
	// The inner shell ends at once, and each of what it started lives until
	// descriptor 3 ends.
	script := fmt.Sprintf(`(i=0; while [ $i -lt %d ]; do read x <&3 & i=$((i+1)); done); echo started; read x`, orphans)
	p := start(t, scenario{argv: []string{"/bin/sh", "-c", script}, extra: []*os.File{release}})
	p.expect("started")
	if got := len(children(t, p.cmd.Process.Pid)); got != 1+orphans {
		t.Fatalf("the init has %d children, want the one and %d orphans", got, orphans)
	}
	if err := hold.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for left := children(t, p.cmd.Process.Pid); len(left) > 1; left = children(t, p.cmd.Process.Pid) {
		if ctx.Err() != nil {
			t.Fatalf("trap 57: the init does not reap %q", left)
		}
	}
	if got := p.end(); got != 1 { // read at the end of input
		t.Errorf("the init ends with %d, want 1\n%s", got, p.stderr.String())
	}
}

// children lists the states of the children of a process, zombies included.
func children(t *testing.T, pid int) []string {
	t.Helper()
	names, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	var states []string
	for _, name := range names {
		stat, err := os.ReadFile(name)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) {
			continue // it has ended since
		}
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(stat), ") ") // after the name: state, parent
		if fields := strings.Fields(rest); fields[1] == strconv.Itoa(pid) {
			states = append(states, fields[0])
		}
	}
	return states
}

func TestChildThatIgnoresTermLivesUntilTheInitIsKilled(t *testing.T) {
	t.Parallel()
	p := start(t, scenario{})
	p.expect("ready")
	for range 3 {
		p.send(unix.SIGTERM)
		p.expect("SIGTERM")
	}
	p.send(unix.SIGKILL)
	// The end of its output is the end of the child: its input is still open.
	if rest, err := io.ReadAll(p.stdout); err != nil || len(rest) > 0 {
		t.Errorf("the child says %q, %v", rest, err)
	}
}

func TestRunGoesOnWhereItMayNotSendTheChildASignal(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can start a child as another user")
	}
	p := start(t, scenario{how: powerless, argv: []string{"/bin/sh", "-c", `echo ready; read x; exit 3`}})
	p.expect("ready")
	p.send(unix.SIGTERM)
	p.expect(`level=WARN msg="Cannot pass on a signal" signal=terminated reason="operation not permitted"`)
	if got := p.end(); got != 3 {
		t.Errorf("the init ends with %d, want 3\n%s", got, p.stderr.String())
	}
}

func TestChildInheritsNoSignalStateOfTheInit(t *testing.T) {
	t.Parallel()
	// The signals 32 and 33 are left out. They are the C library's own: glibc's
	// posix_spawn, by which make starts the tests, leaves them ignored in every
	// child.
	const script = `grep "^SigBlk" /proc/self/status; ` +
		`ignored=$(sed -n "s/^SigIgn:.//p" /proc/self/status); printf "SigIgn:\t%016x\n" $((0x$ignored & ~0x180000000))`
	for _, tt := range []struct {
		name   string
		before []string
	}{
		{"trap 59: nothing is blocked or ignored", nil},
		{"trap 59: nor where the init was to ignore a hangup", []string{"/bin/sh", "-c", `trap "" HUP INT && exec "$@"`, "sh"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := start(t, scenario{argv: []string{"/bin/sh", "-c", script}, before: tt.before})
			p.expect("SigBlk:\t0000000000000000")
			p.expect("SigIgn:\t0000000000000000")
			if got := p.end(); got != 0 {
				t.Errorf("the init ends with %d\n%s", got, p.stderr.String())
			}
		})
	}
}

func TestChildLeadsItsGroupOrSession(t *testing.T) {
	t.Parallel()
	// The fields of stat(5) after the name: state, parent, group, session.
	const script = `read -r pid name state parent group session rest </proc/$$/stat
		[ $group = $$ ] && echo group; [ $session = $$ ] && echo session; exit 0`
	for _, tt := range []struct {
		name, how string
		want      []string
	}{
		{"a group of its own", "", []string{"group"}},
		{"trap 57: a session of its own where the caller asks for it", session, []string{"group", "session"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := start(t, scenario{argv: []string{"/bin/sh", "-c", script}, how: tt.how})
			for _, line := range tt.want {
				p.expect(line)
			}
			if got := p.end(); got != 0 {
				t.Errorf("the init ends with %d\n%s", got, p.stderr.String())
			}
		})
	}
}
