package stdio_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/drengskapur/fastmcp-runner/test/program"
)

// patience is how long something may take that should come at once.
const patience = 30 * time.Second

// runner is a "fastmcp-runner" that runs.
type runner struct {
	*program.Process
	t *testing.T
}

// run starts a runner on the image of a shop. It ends with the test.
func run(t *testing.T, s *shop, environ ...string) *runner {
	t.Helper()
	return &runner{t: t, Process: runnerProgram.Start(t, program.FreePort(t), nil, append([]string{
		"IMAGE=" + s.image(), "MCP_TRANSPORT=stdio", "REGISTRY_USER=acme-bot", "REGISTRY_PASSWORD=correct-horse",
		"RUNNER_ROOT=" + root(t),
	}, environ...)...)}
}

// root returns an empty directory that every user can enter and that plays the
// container's root.
func root(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(name, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// answer is what came back of a request.
type answer struct {
	status int
	header http.Header
	body   string
}

func (r *runner) ask(method, path, body string, header http.Header) (answer, error) {
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.URL(path), strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	req.Header = header
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(text)}, err
}

func (r *runner) mustAsk(method, path, body string, header http.Header) answer {
	r.t.Helper()
	got, err := r.ask(method, path, body, header)
	if err != nil {
		r.t.Fatal(err)
	}
	return got
}

// health is what a health check is told.
type health struct {
	Status, Phase, Image, Reason string
	Read                         int64 `json:"read_bytes"`
	Total                        int64 `json:"total_bytes"`
	Sessions                     int
}

// awaitHealth waits until the health is as wanted.
func (r *runner) awaitHealth(status int, want func(health) bool) health {
	r.t.Helper()
	var h health
	var got answer
	var err error
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if got, err = r.ask(http.MethodGet, "/health", "", nil); err != nil {
			continue
		}
		h = health{}
		if err = json.Unmarshal([]byte(got.body), &h); err == nil && got.status == status && want(h) {
			return h
		}
	}
	r.t.Fatalf("the health stays %d %s, %v", got.status, got.body, err)
	return h
}

func (r *runner) awaitReady() {
	r.t.Helper()
	r.awaitHealth(http.StatusOK, func(h health) bool { return h.Status == "ok" })
}

// The headers and the first request of a client.
func headers(more ...string) http.Header {
	h := http.Header{"Accept": {"application/json, text/event-stream"}, "Content-Type": {"application/json"}}
	for i := 0; i < len(more); i += 2 {
		h.Set(more[i], more[i+1])
	}
	return h
}

const (
	hello = `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"test","version":"1"}}}`
	ready = `{"jsonrpc":"2.0","method":"notifications/initialized"}`
	list  = `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`
)

// begin opens a session and returns its id.
func (r *runner) begin() string {
	r.t.Helper()
	got := r.mustAsk(http.MethodPost, "/mcp", hello, headers())
	id := got.header.Get("Mcp-Session-Id")
	if got.status != http.StatusOK || id == "" {
		r.t.Fatalf("initialize: %+v", got)
	}
	if got := r.mustAsk(http.MethodPost, "/mcp", ready, headers("Mcp-Session-Id", id)); got.status != http.StatusAccepted {
		r.t.Fatalf("initialized: %+v", got)
	}
	return id
}

// call connects a client that is not ours, calls a tool and decodes what it
// returns.
func (r *runner) call(ctx context.Context, transport mcp.Transport, tool string, args map[string]any, result any) error {
	client := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil)
	session, err := client.Connect(ctx, transport, &mcp.ClientSessionOptions{ProtocolVersion: "2025-11-25"})
	if err != nil {
		return err
	}
	got, err := session.CallTool(ctx, &mcp.CallToolParams{Name: tool, Arguments: args})
	if err == nil && got.IsError {
		err = fmt.Errorf("the tool refuses: %v", got.Content)
	}
	if err == nil {
		var text []byte
		if text, err = json.Marshal(got.StructuredContent); err == nil {
			err = json.Unmarshal(text, result)
		}
	}
	return errors.Join(err, session.Close())
}

func (r *runner) streamable() mcp.Transport {
	return &mcp.StreamableClientTransport{Endpoint: r.URL("/mcp")}
}

// greet is a whole conversation with the greeter.
func (r *runner) greet(ctx context.Context, transport mcp.Transport) error {
	var got struct{ Text string }
	err := r.call(ctx, transport, "greet", map[string]any{"name": "Ada"}, &got)
	if err == nil && got.Text != "Hello, Ada!" {
		err = fmt.Errorf("the greeting is %q", got.Text)
	}
	return err
}

// children returns the processes below the runner.
func (r *runner) children() []int {
	r.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", r.PID(), r.PID()))
	if err != nil {
		r.t.Fatal(err)
	}
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", r.PID()))
	if err != nil {
		r.t.Fatal(err)
	}
	for _, task := range tasks {
		more, _ := os.ReadFile(task) // a thread may have ended
		text = append(append(text, ' '), more...)
	}
	var pids []int
	for field := range strings.FieldsSeq(string(text)) {
		pid, err := strconv.Atoi(field)
		if err != nil {
			r.t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	return pids
}

// wantGone waits until processes have ended.
func wantGone(t *testing.T, pids []int) {
	t.Helper()
	for _, pid := range pids {
		for deadline := time.Now().Add(patience); lives(pid); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("process %d lives", pid)
			}
		}
	}
}

func lives(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err == nil && !bytes.Contains(stat, []byte(") Z "))
}
