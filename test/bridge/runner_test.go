package bridge_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// programs is where what was compiled is, until the tests are over.
var programs string

// TestMain is a server as well: with the arguments "serve legacy" this binary
// hides from a server's clients that it is modern.
func TestMain(m *testing.M) {
	if len(os.Args) > 3 && os.Args[1] == "serve" && os.Args[2] == "legacy" {
		os.Exit(serveLegacy(os.Args[3]))
	}
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	var err error
	if programs, err = os.MkdirTemp("", "bridge-test-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	status := m.Run()
	if err := os.RemoveAll(programs); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return status
}

// program is a Go program that several tests use.
type program func() (string, error)

// compiled returns a program that is compiled when it is first asked for. Dir
// is the module whose requirements count.
func compiled(dir, pkg, name string) program {
	return sync.OnceValues(func() (string, error) {
		bin := filepath.Join(programs, name)
		cmd := exec.CommandContext(context.Background(), "go", "build", "-o", bin, pkg)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("cannot build %s: %w\n%s", pkg, err, out)
		}
		return bin, nil
	})
}

const module = "github.com/drengskapur/fastmcp-runner/"

var (
	runner  = compiled(".", module+"cmd/fastmcp-runner", "fastmcp-runner")
	greeter = compiled(".", module+"examples/greeter", "greeter")
)

// path returns where the program is.
func (p program) path(t *testing.T) string {
	t.Helper()
	path, err := p()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// bridge is a "fastmcp-runner bridge" that serves.
type bridge struct {
	// url is that of the endpoint, and base that of the host.
	url, base string
	cmd       *exec.Cmd
	drained   chan struct{}
}

// start serves a command until the test ends.
func start(t *testing.T, environ []string, command ...string) *bridge {
	t.Helper()
	b := &bridge{drained: make(chan struct{})}
	b.cmd = exec.Command(runner.path(t), append([]string{"bridge", "--"}, command...)...)
	b.cmd.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "MCP_HOST=127.0.0.1", "PORT=" + freePort(t),
	}, environ...)
	log, err := b.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := b.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.stop(t) })
	lines := bufio.NewScanner(log)
	for b.url == "" && lines.Scan() {
		_, b.url, _ = strings.Cut(lines.Text(), " url=")
		t.Log(lines.Text())
	}
	b.base = strings.TrimSuffix(b.url, "/mcp")
	go func() {
		defer close(b.drained)
		for lines.Scan() {
			t.Log(lines.Text())
		}
	}()
	return b
}

// stop ends the bridge as a platform does, and returns its exit status. It may
// be called twice.
func (b *bridge) stop(t *testing.T) int {
	t.Helper()
	if b.cmd.ProcessState != nil {
		return b.cmd.ProcessState.ExitCode()
	}
	if err := b.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	<-b.drained
	err := b.cmd.Wait()
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		t.Error(err)
	}
	return b.cmd.ProcessState.ExitCode()
}

// freePort returns a port that the kernel had free a moment ago: the program
// takes a number, and not a listener.
func freePort(t *testing.T) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}
