package child_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drengskapur/fastmcp-runner/internal/bridge/child"
	"github.com/drengskapur/fastmcp-runner/internal/bridge/jsonrpc"
)

// buffer is a log that may be read while it is written.
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

// family is a child and what it said.
type family struct {
	*child.Process
	messages chan string
	lost     chan string
	log      *buffer
}

func start(t *testing.T, change func(*child.Options), args ...string) family {
	t.Helper()
	nursery := child.Open()
	t.Cleanup(nursery.Close)
	f := family{messages: make(chan string, 1000), lost: make(chan string, 10), log: &buffer{}}
	opts := child.Options{
		Command: child.Command{Path: "/proc/self/exe", Argv: append([]string{"server", "serve"}, args...), Env: append(os.Environ(), "GORACE=atexit_sleep_ms=0")},
		Receive: func(m jsonrpc.Message) { f.messages <- string(m.Raw) },
		Lost:    func(key string, err error) { f.lost <- key + ": " + err.Error() },
		Mask:    func(text string) string { return strings.ReplaceAll(text, "hunter22", "[redacted]") },
		Log:     slog.New(slog.NewTextHandler(f.log, nil)),
	}
	if change != nil {
		change(&opts)
	}
	p, err := nursery.Start(opts)
	if err != nil {
		t.Fatal(err)
	}
	f.Process = p
	t.Cleanup(func() { p.Stop(0) })
	return f
}

// end waits for the end of the child and returns how it was, and all that it said.
func (f family) end(t *testing.T) (string, []string) {
	t.Helper()
	select {
	case <-f.Done():
	case <-time.After(20 * time.Second):
		t.Fatal("the child does not end")
	}
	close(f.messages)
	var said []string
	for m := range f.messages {
		said = append(said, m)
	}
	return f.Err().Error(), said
}

func TestMessagesGoInAndOutByteForByte(t *testing.T) {
	t.Parallel()
	f := start(t, nil, "echo")
	big := `{"jsonrpc":"2.0","id":1,"result":"` + strings.Repeat("é", 3<<20) + `"}`
	sent := []string{`{"id": 9007199254740993 ,"jsonrpc":"2.0","method":"x"}`, big, `{"jsonrpc":"2.0","method":"end"}`}
	for _, m := range sent {
		if err := f.Send(t.Context(), []byte(m)); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range sent {
		if got := <-f.messages; got != want {
			t.Errorf("got %d bytes %.100s, want %d bytes %.100s", len(got), got, len(want), want)
		}
	}
	f.Stop(10 * time.Second)
	if how, _ := f.end(t); how != "the server ended with exit code 0" {
		t.Errorf("end: %s", how)
	}
	if err := f.Send(t.Context(), []byte(`{}`)); err == nil {
		t.Error("Send to a child that has ended succeeds")
	}
}

func TestOutputIsReadUpToTheEnd(t *testing.T) {
	t.Parallel()
	const a, b = `{"jsonrpc":"2.0","method":"a"}`, `{"jsonrpc":"2.0","method":"b"}`
	for _, tt := range []struct {
		name, out string
		want      []string
	}{
		{"messages", a + `\n` + b + `\n`, []string{a, b}},
		{"the last message lacks its line break", a + `\n` + b, []string{a, b}},
		{"lines that are no messages are skipped", `Server ready\n` + a + `\n{"level":"info"}\n\n{\n` + b + `\n`, []string{a, b}},
		{"a batch is its messages", `[` + a + `,` + b + `]\n`, []string{a, b}},
		{"a line break of Windows", a + "\r" + `\n`, []string{a}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, got := start(t, nil, "say", tt.out).end(t)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("messages: -want +got\n%s", diff)
			}
		})
	}
}

func TestAMessageThatIsTooLongIsLostAlone(t *testing.T) {
	t.Parallel()
	f := start(t, func(opts *child.Options) { opts.MaxLine = 100_000 }, "long", "200000")
	_, said := f.end(t)
	if diff := cmp.Diff([]string{`{"jsonrpc":"2.0","method":"after"}`}, said); diff != "" {
		t.Errorf("messages: -want +got\n%s", diff)
	}
	if got := <-f.lost; got != "7: a line of more than 100000 bytes" {
		t.Errorf("lost: %q", got)
	}
}

// Without t.Parallel, since it is about the memory of this process.
func TestALineWithoutEndLeavesNoMemoryBehind(t *testing.T) { //nolint:paralleltest // see above
	before := held()
	f := start(t, func(opts *child.Options) { opts.Receive = func(jsonrpc.Message) {} }, "ramble")
	if got, want := <-f.lost, fmt.Sprintf(": a line of more than %d bytes", jsonrpc.MaxLine); got != want {
		t.Errorf("lost: %q, want %q", got, want)
	}
	if grown := held() - before; grown > 4<<20 {
		t.Errorf("%d bytes are held after a line of more than %d", grown, jsonrpc.MaxLine)
	}
	if n := strings.Count(f.log.String(), "too long"); n != 1 {
		t.Errorf("the log says it %d times", n)
	}
}

// held is how much memory of the system the heap has. What the Go runtime notes
// of the heap's largest size stays with it.
func held() int64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapSys - m.HeapReleased)
}

func TestTheEndTellsHowAndWhy(t *testing.T) {
	t.Parallel()
	f := start(t, nil, "fail", "7")
	how, _ := f.end(t)
	if want := "the server ended with exit code 7; its last words: loading | cannot connect with [redacted]"; how != want {
		t.Errorf("Err = %s, want %s", how, want)
	}
	if log := f.log.String(); !strings.Contains(log, "cannot connect with [redacted]") || strings.Contains(log, "hunter22") {
		t.Errorf("log: %s", log)
	}
}

func TestAFloodOfWordsIsRateLimited(t *testing.T) {
	t.Parallel()
	f := start(t, nil, "flood")
	how, _ := f.end(t)
	if n := strings.Count(f.log.String(), "The server says"); n < 100 || n > 1000 {
		t.Errorf("%d of 10000 lines in the log", n)
	}
	if !strings.HasSuffix(how, "line 9998 | line 9999") {
		t.Errorf("Err = %s", how)
	}
}

func TestStopEndsAnyChildInTime(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, server, want string
		grace              time.Duration
		signal             syscall.Signal
	}{
		{"one that ends with its input", "echo", "the server ended with exit code 0", time.Minute, 0},
		{"one that must be asked", "busy", "the server ended with exit code 3", 200 * time.Millisecond, 0},
		{"one that must be killed", "deaf", "the server was ended by signal killed", 200 * time.Millisecond, 0},
		{"one that is asked in its own way", "odd", "the server ended with exit code 5", time.Second, syscall.SIGUSR1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := start(t, func(opts *child.Options) { opts.Command.StopSignal = tt.signal }, tt.server)
			if tt.server != "echo" {
				<-f.messages
			}
			f.Stop(tt.grace)
			select {
			case <-f.Done():
			default:
				t.Error("Stop returns before the end")
			}
			if how, _ := f.end(t); how != tt.want {
				t.Errorf("Err = %q, want %q", how, tt.want)
			}
			f.Stop(tt.grace)
		})
	}
}

func TestTheWholeGroupEnds(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		args []string
		stop bool
	}{
		{"when the child is stopped", []string{"parent", "grandchild", "stay"}, true},
		{"when the child ends by itself", []string{"parent", "grandchild", "leave"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := start(t, nil, tt.args...)
			pid := pidIn(t, <-f.messages)
			if tt.stop {
				f.Stop(time.Second)
			}
			f.end(t)
			awaitDeath(t, pid)
		})
	}
}

func TestADaemonThatHoldsThePipesDoesNotHoldUsUp(t *testing.T) {
	t.Parallel()
	f := start(t, nil, "parent", "grandchild", "leave", "daemon")
	pid := pidIn(t, <-f.messages)
	t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGKILL) })
	f.end(t)
}

func TestSendGivesUpWithItsCaller(t *testing.T) {
	t.Parallel()
	f := start(t, nil, "deaf")
	<-f.messages
	ctx, cancel := context.WithTimeoutCause(t.Context(), 100*time.Millisecond, errors.New("enough"))
	defer cancel()
	results := make(chan error, 2)
	for range 2 {
		go func() { results <- f.Send(ctx, make([]byte, 1<<20)) }()
	}
	if err := <-results; err == nil || err.Error() != "enough" {
		t.Errorf("Send while another one is stuck = %v, want that the caller had enough", err)
	}
	f.Stop(0)
	if err := <-results; err == nil {
		t.Error("Send to a child that never read succeeds")
	}
}

func TestACommandThatCannotRunIsAnError(t *testing.T) {
	t.Parallel()
	nursery := child.Open()
	defer nursery.Close()
	before := descriptors(t)
	for range 100 {
		_, err := nursery.Start(child.Options{Command: child.Command{Path: "/no/such/file", Argv: []string{"x"}}})
		if err == nil || err.Error() != `cannot start "/no/such/file": no such file or directory` {
			t.Fatalf("Start: %v", err)
		}
	}
	if after := descriptors(t); after > before+50 { // other tests run beside this one
		t.Errorf("%d descriptors, then %d", before, after)
	}
}

func TestAClosedNurseryStartsNothing(t *testing.T) {
	t.Parallel()
	nursery := child.Open()
	nursery.Close()
	if _, err := nursery.Start(child.Options{Command: child.Command{Path: "/proc/self/exe"}}); err == nil {
		t.Error("Start succeeds")
	}
}

func TestAChildDiesWithTheRunner(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("/proc/self/exe", "serve", "runner").Output()
	if killed := (*exec.ExitError)(nil); !errors.As(err, &killed) {
		t.Fatalf("the runner ended by itself: %v", err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(out)))
	if err != nil {
		t.Fatal(err)
	}
	awaitDeath(t, pid)
}

// serveRunner starts a child that hears nothing, tells its pid, and is killed.
func serveRunner() int {
	ready := make(chan struct{}, 1)
	p, err := child.Open().Start(child.Options{
		Command: child.Command{Path: "/proc/self/exe", Argv: []string{"server", "serve", "deaf"}},
		Receive: func(jsonrpc.Message) { ready <- struct{}{} }, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		panic(err)
	}
	<-ready
	say(p.PID())
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	stay()
	return 0
}

func TestOrphansAreReaped(t *testing.T) {
	t.Parallel()
	if out, err := exec.Command("/proc/self/exe", "serve", "init").CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// prSetChildSubreaper makes us what init is for our descendants (linux/prctl.h).
const prSetChildSubreaper = 36

// serveInit plays the init process: children leave grandchildren behind,
// inside of their group and outside, and a process of ours that is no child of
// the nursery keeps its exit code.
func serveInit() int {
	if _, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, prSetChildSubreaper, 1, 0); errno != 0 {
		panic(errno)
	}
	nursery := child.Open()
	defer nursery.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go nursery.Reap(ctx)
	for i := range 4 {
		args := []string{"server", "serve", "parent", "brief", "leave"}
		if i%2 == 0 {
			args = append(args, "daemon")
		}
		p, err := nursery.Start(child.Options{
			Command: child.Command{Path: "/proc/self/exe", Argv: args},
			Receive: func(jsonrpc.Message) {}, Log: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			panic(err)
		}
		<-p.Done()
		if got := p.Err().Error(); got != "the server ended with exit code 0" {
			panic(got)
		}
		other := exec.Command("/proc/self/exe", "serve", "fail", "9")
		if err := other.Run(); other.ProcessState.ExitCode() != 9 {
			panic(err)
		}
	}
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		if _, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); errors.Is(err, syscall.ECHILD) {
			return 0
		}
	}
	return 1
}

func pidIn(t *testing.T, message string) int {
	t.Helper()
	m, err := jsonrpc.Parse([]byte(message))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(m.Method)
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// awaitDeath waits until a process is gone or a zombie: in a test its new
// parent may not reap it.
func awaitDeath(t *testing.T, pid int) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || bytes.Contains(stat, []byte(") Z ")) || bytes.Contains(stat, []byte(") X ")) {
			return
		}
	}
	t.Errorf("process %d lives", pid)
}

func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// Not parallel: it counts what the whole process holds.
func TestAChildTakesNoThread(t *testing.T) {
	start(t, nil, "echo") // and the thread of its nursery
	nursery, before := child.Open(), threads(t)
	t.Cleanup(nursery.Close)
	const crowd = 60
	for range crowd {
		p, err := nursery.Start(child.Options{
			Command: child.Command{Path: "/proc/self/exe", Argv: []string{"server", "serve", "echo"}, Env: os.Environ()},
			Receive: func(jsonrpc.Message) {}, Log: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { p.Stop(0) })
	}
	if got := threads(t) - before; got > crowd/3 {
		t.Errorf("%d children take %d threads, want those that run Go code only", crowd, got)
	}
}

func threads(t *testing.T) int {
	t.Helper()
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	return len(tasks)
}
