package browser_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// programs is where what was compiled is, until the tests are over.
var programs string

// program is a program of ours, compiled when it is first asked for. It is
// static, because images have no system.
type program func() (string, error)

func compiled(pkg string) program {
	return sync.OnceValues(func() (string, error) {
		bin := filepath.Join(programs, filepath.Base(pkg))
		cmd := exec.CommandContext(context.Background(), "go", "build", "-o", bin, "github.com/drengskapur/fastmcp-runner/"+pkg)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("cannot build %s: %w\n%s", pkg, err, out)
		}
		return bin, nil
	})
}

var (
	runnerProgram = compiled("cmd/fastmcp-runner")
	greeter       = compiled("examples/greeter")
)

func (p program) path(t *testing.T) string {
	t.Helper()
	path, err := p()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// launch runs a fastmcp-runner until the test ends, and returns the URL of its
// page as soon as it answers.
func launch(t *testing.T, environ, args []string) string {
	t.Helper()
	port := freePort(t)
	var log bytes.Buffer
	cmd := exec.Command(runnerProgram.path(t), args...)
	cmd.Env = append([]string{"PATH=/usr/bin:/bin", "PORT=" + port, "MCP_HOST=127.0.0.1"}, environ...)
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Error(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("the runner: %v", err)
		}
		if t.Failed() {
			t.Logf("the log:\n%s", &log)
		}
	})
	page := "http://127.0.0.1:" + port + "/"
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		answer, err := http.Get(page)
		if err == nil {
			if err := answer.Body.Close(); err != nil {
				t.Error(err)
			}
			return page
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// freePort returns a port that the kernel had free a moment ago.
func freePort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
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

// bearer sends a token with every request.
type bearer string

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+string(b))
	return http.DefaultTransport.RoundTrip(r)
}

// TestThePageOfALocalServer takes what the page says to a client.
func TestThePageOfALocalServer(t *testing.T) {
	t.Parallel()
	url := launch(t, []string{"RUNNER_AUTH_TOKEN=open-sesame", "MCP_ENV_MCP_TRANSPORT=stdio"}, []string{"bridge", "--", greeter.path(t)})
	tb := open(t, url, desk)
	tb.await("the server", "document.querySelector('h1').innerText === 'greeter'")
	tb.holds("Serving", "version 1.0.0", "YOUR_TOKEN")
	if strings.Contains(tb.text(), "Greets somebody") {
		t.Error("the tools are shown without the token")
	}
	tb.enter("bearer", "open-sesame\r")
	tb.await("the tools", "document.querySelectorAll('.tools > li').length === 2")
	tb.holds("greet", "Greets somebody by name.", "name", "string", "required", "whom to greet", "runtime_facts")

	client := &http.Client{Transport: bearer("open-sesame")}
	transport := &mcp.StreamableClientTransport{Endpoint: evaluate[string](tb, "document.getElementById('endpoint').innerText"), HTTPClient: client}
	session, err := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil).Connect(t.Context(), transport, nil)
	if err != nil {
		t.Fatal(err)
	}
	result, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: "greet", Arguments: map[string]any{"name": "Ada"}})
	if err := errors.Join(err, session.Close()); err != nil || !strings.Contains(fmt.Sprint(result.StructuredContent), "Hello, Ada!") {
		t.Errorf("greet: %+v, %v", result, err)
	}
}
