package bridge_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/drengskapur/fastmcp-runner/internal/bridge"
)

// connect opens a connection of HTTP+SSE, and returns what comes in and where
// messages go out.
func (h house) connect(t *testing.T) (in *events, out client) {
	t.Helper()
	in = client{t, h.url + "/sse", http.Header{"Accept": {"text/event-stream"}}}.stream(http.MethodGet, "")
	endpoint, _ := in.next()
	if endpoint.Event != "endpoint" || !strings.HasPrefix(endpoint.Data, "messages?sessionId=") {
		t.Fatalf("first event: %+v", endpoint)
	}
	return in, client{t, h.url + "/" + endpoint.Data, http.Header{"Content-Type": {"application/json"}}}
}

func TestSSEConnectionsAreApart(t *testing.T) {
	t.Parallel()
	h := open(t, func(opts *bridge.Options) { opts.SSE = bridge.SSEOnly })
	h.client(t).wants(http.StatusNotFound, call("1", "echo", "{}"))
	type connection struct {
		in  *events
		out client
	}
	var connections []connection
	for range 2 {
		in, out := h.connect(t)
		out.wants(http.StatusAccepted, strings.Replace(hello, "VERSION", "2024-11-05", 1))
		if got := in.data(); !strings.Contains(got, "puppet") {
			t.Fatalf("initialize: %s", got)
		}
		connections = append(connections, connection{in, out})
	}
	for i := range 20 {
		for n, c := range connections {
			c.out.wants(http.StatusAccepted, call("1", "echo", `{"n":`+string('0'+rune(n))+`}`))
			if i%5 == 0 {
				c.out.wants(http.StatusAccepted, say("2", note, result("2")))
			}
		}
		for n, c := range connections {
			c.in.wants(`{"jsonrpc":"2.0","id":1,"result":{"n":` + string('0'+rune(n)) + `}}`)
			if i%5 == 0 {
				c.in.wants(note, result("2"))
			}
		}
	}
	connections[0].out.wants(http.StatusAccepted, call("9", "die", "{}"))
	if got := connections[0].in.data(); !strings.Contains(got, `"id":9,"error"`) {
		t.Errorf("crash: %s", got)
	}
	connections[0].in.wantsEnd()
	connections[1].in.cut()
	eventually(t, "the sessions are over", func() bool { return h.Health().Sessions == 0 })
}

func TestAnIdleSSEConnectionEnds(t *testing.T) {
	t.Parallel()
	h := open(t, func(opts *bridge.Options) {
		opts.SSE, opts.Idle, opts.KeepAlive = bridge.SSEOn, 500*time.Millisecond, 20*time.Millisecond
	})
	silent, _ := h.connect(t)
	in, out := h.connect(t)
	out.wants(http.StatusAccepted, strings.Replace(hello, "VERSION", "2024-11-05", 1))
	in.next()
	out.wants(http.StatusAccepted, call("1", "pid", "{}"))
	var answer struct{ Result struct{ PID int } }
	if err := json.Unmarshal([]byte(in.data()), &answer); err != nil {
		t.Fatal(err)
	}
	silent.wantsEnd()
	in.wantsEnd()
	out.wants(http.StatusNotFound, call("2", "echo", "{}"))
	eventually(t, "the server is gone", func() bool { return !lives(answer.Result.PID) })
	eventually(t, "the sessions are over", func() bool { return h.Health().Sessions == 0 })
	if n := strings.Count(h.log.String(), "the client was idle for too long"); n != 2 {
		t.Errorf("%d sessions have ended because nobody was there", n)
	}
}

func TestAnSSEClientThatWaitsIsNotIdle(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name         string
		waits, pause time.Duration
	}{
		{"it waits for longer than it may be idle", 5 * time.Second, 0},
		{"its idleness begins with the answer", 3 * time.Second, 2 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := open(t, func(opts *bridge.Options) { opts.SSE, opts.Idle = bridge.SSEOn, 4*time.Second })
			in, out := h.connect(t)
			out.wants(http.StatusAccepted, strings.Replace(hello, "VERSION", "2024-11-05", 1))
			in.next()
			out.wants(http.StatusAccepted, say("1", "$AWAIT "+goOn(t, tt.waits), result("1")))
			in.wants(result("1"))
			time.Sleep(tt.pause) // that nothing happens takes time
			out.wants(http.StatusAccepted, call("2", "echo", "{}"))
			in.wants(result("2"))
		})
	}
}

// goOn returns a file that will be there after a time.
func goOn(t *testing.T, after time.Duration) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "go on")
	timer := time.AfterFunc(after, func() {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { timer.Stop() })
	return path
}

func TestSSEConnectionsHaveALimit(t *testing.T) {
	t.Parallel()
	h := open(t, func(opts *bridge.Options) { opts.SSE, opts.Sessions = bridge.SSEOn, 2 })
	first, _ := h.connect(t)
	second, _ := h.connect(t)
	third := client{t, h.url + "/sse", http.Header{"Accept": {"text/event-stream"}}}
	got := third.send(http.MethodGet, "")
	if got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" || !strings.Contains(got.body, bridge.ErrFull.Error()) {
		t.Errorf("one more: %+v", got)
	}
	first.cut()
	eventually(t, "there is room for one", func() bool { return h.Health().Sessions == 1 })
	in, out := h.connect(t)
	out.wants(http.StatusAccepted, strings.Replace(hello, "VERSION", "2024-11-05", 1))
	if got := in.data(); !strings.Contains(got, "puppet") {
		t.Errorf("initialize: %s", got)
	}
	second.cut()
}
