package bridge_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/drengskapur/fastmcp-runner/internal/bridge"
	"github.com/drengskapur/fastmcp-runner/internal/bridge/child"
)

// script is a server that is quick to start: it begins, answers one request,
// and ends at the second.
const script = `read -r hello
echo '{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2025-11-25"}}'
read -r initialized; read -r request
echo '{"jsonrpc":"2.0","id":1,"result":{}}'
sleep 1000 &
read -r fatal && exit 3`

// Not parallel: it counts what the whole process holds.
func TestNothingIsLeftOfAThousandSessions(t *testing.T) {
	b := bridge.New(bridge.Options{
		Command: child.Command{Path: "/bin/sh", Argv: []string{"sh", "-c", script}, Env: os.Environ()}, SSE: bridge.SSEOn,
	})
	server := httptest.NewServer(b)
	h := house{Bridge: b, url: server.URL, log: &buffer{}}
	cycle(t, h, 1)
	settle(t, h)
	goroutines, files, processes := runtime.NumGoroutine(), count(t, "/proc/self/fd"), children(t)
	for i := range 1000 {
		cycle(t, h, i)
	}
	settle(t, h)
	eventually(t, "the goroutines are gone", func() bool { return runtime.NumGoroutine() <= goroutines })
	eventually(t, "the descriptors are closed", func() bool { return count(t, "/proc/self/fd") <= files })
	eventually(t, "the processes are gone", func() bool { return children(t) <= processes })
	b.Shutdown(context.Background())
	server.Close()
}

// cycle is one session that ends in one of three ways.
func cycle(t *testing.T, h house, i int) {
	t.Helper()
	c := h.begin(t, "2025-11-25")
	c.wants(http.StatusOK, call("1", "echo", "{}"))
	switch i % 3 {
	case 0:
		if got := c.wants(http.StatusOK, call("2", "die", "{}")); !strings.Contains(got.body, "exit code 3") {
			t.Fatalf("crash: %s", got.body)
		}
	case 1:
		stream := c.stream(http.MethodGet, "")
		stream.next()
		if got := c.send(http.MethodDelete, ""); got.status != http.StatusOK {
			t.Fatalf("end: %+v", got)
		}
		stream.wantsEnd()
	case 2:
		sse := client{t, h.url + "/sse", http.Header{}}.stream(http.MethodGet, "")
		sse.next()
		sse.cut()
		c.send(http.MethodDelete, "")
	}
}

// settle waits until all sessions are over, and closes what the tests' client
// holds open.
func settle(t *testing.T, h house) {
	t.Helper()
	eventually(t, "the sessions are over", func() bool { return h.Health().Sessions == 0 })
	if transport, ok := http.DefaultTransport.(*http.Transport); ok {
		transport.CloseIdleConnections()
	}
}

func count(t *testing.T, dir string) int {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// children counts the processes of this test, wherever their parent is now.
func children(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, entry := range entries {
		line, err := os.ReadFile("/proc/" + entry.Name() + "/cmdline")
		if err == nil && (strings.Contains(string(line), "read -r hello") || strings.HasPrefix(string(line), "sleep\x001000")) {
			n++
		}
	}
	return n
}
