// Package bridge_test runs "fastmcp-runner bridge" as its users do, with a real
// stdio server and a client that is not ours.
package bridge_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// build compiles a package of this module and returns the program's path.
func build(t *testing.T, pkg string) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), filepath.Base(pkg))
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", bin, "github.com/drengskapur/fastmcp-runner/"+pkg)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("cannot build %s: %v\n%s", pkg, err, out)
	}
	return bin
}

// start serves the command and returns the endpoint, which the log tells, and
// what stops it and gives the exit status.
func start(t *testing.T, environ []string, command ...string) (endpoint string, stop func() int) {
	t.Helper()
	cmd := exec.Command(build(t, "cmd/fastmcp-runner"), append([]string{"bridge", "--"}, command...)...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "MCP_HOST=127.0.0.1"}, environ...)
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(log)
	for endpoint == "" && lines.Scan() {
		_, endpoint, _ = strings.Cut(lines.Text(), " url=")
		t.Log(lines.Text())
	}
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		for lines.Scan() {
			t.Log(lines.Text())
		}
	}()
	return endpoint, func() int {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		<-drained
		err := cmd.Wait()
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			return exit.ExitCode()
		}
		if err != nil {
			t.Error(err)
		}
		return 0
	}
}

// bearer sends a token with every request.
type bearer string

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+string(b))
	return http.DefaultTransport.RoundTrip(r)
}

func greet(ctx context.Context, endpoint string, client *http.Client) (string, error) {
	transport := &mcp.StreamableClientTransport{Endpoint: endpoint, HTTPClient: client}
	session, err := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil).Connect(ctx, transport, nil)
	if err != nil {
		return "", err
	}
	result, err := session.CallTool(ctx, &mcp.CallToolParams{Name: "greet", Arguments: map[string]any{"name": "Ada"}})
	if err != nil {
		return "", errors.Join(err, session.Close())
	}
	return fmt.Sprint(result.StructuredContent), session.Close()
}

func TestBridgeServesAStdioServer(t *testing.T) {
	t.Parallel()
	greeter := build(t, "examples/greeter")
	endpoint, stop := start(t, []string{"PORT=" + freePort(t), "MCP_ENV_MCP_TRANSPORT=stdio", "RUNNER_AUTH_TOKEN=open-sesame"}, greeter)
	got, err := greet(t.Context(), endpoint, &http.Client{Transport: bearer("open-sesame")})
	if err != nil || !strings.Contains(got, "Hello, Ada!") {
		t.Errorf("greet = %q, %v, want a greeting", got, err)
	}
	if got, err := greet(t.Context(), endpoint, &http.Client{Transport: bearer("wrong")}); err == nil {
		t.Errorf("with a wrong token, greet = %q, want an error", got)
	}
	if code := stop(); code != 0 {
		t.Errorf("after SIGTERM the exit code is %d, want 0", code)
	}
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
