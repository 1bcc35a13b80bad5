package bridge_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/drengskapur/fastmcp-runner/internal/bridge"
)

// connect opens a connection of HTTP+SSE, and returns what comes in and where
// messages go out.
func (h house) connect(t *testing.T) (in *events, out client) {
	t.Helper()
	in = client{t, h.url + "/sse", http.Header{"Accept": {"text/event-stream"}}}.stream(http.MethodGet, "")
	endpoint, _ := in.next()
	if endpoint.Event != "endpoint" || !strings.HasPrefix(endpoint.Data, "/messages?sessionId=") {
		t.Fatalf("first event: %+v", endpoint)
	}
	return in, client{t, h.url + endpoint.Data, http.Header{"Content-Type": {"application/json"}}}
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
