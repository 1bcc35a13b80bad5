package bridge_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/drengskapur/fastmcp-runner/internal/bridge"
)

// reply is a response that is thrown away.
type reply struct {
	header http.Header
	status int
	body   []byte
}

func (r *reply) Header() http.Header { return r.header }

func (r *reply) WriteHeader(status int) { r.status = status }

func (r *reply) Write(body []byte) (int, error) {
	r.body = append(r.body, body...)
	return len(body), nil
}

func (r *reply) Flush() {}

func (r *reply) SetReadDeadline(time.Time) error { return nil }

func (r *reply) SetWriteDeadline(time.Time) error { return nil }

// BenchmarkCall measures the bridge without the HTTP server: what is left is
// reading, routing and the way to a server and back.
func BenchmarkCall(b *testing.B) {
	h := bridge.New(bridge.Options{Command: command("echo")})
	defer h.Shutdown(context.Background())
	header := http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json, text/event-stream"}}
	post := func(body string) *reply {
		r, err := http.NewRequestWithContext(b.Context(), http.MethodPost, "http://127.0.0.1/mcp", strings.NewReader(body))
		if err != nil {
			b.Fatal(err)
		}
		r.Header = header
		w := &reply{header: http.Header{}}
		h.ServeHTTP(w, r)
		return w
	}
	header["Mcp-Session-Id"] = []string{post(strings.Replace(hello, "VERSION", "2025-06-18", 1)).header.Get("Mcp-Session-Id")}
	b.ReportAllocs()
	for b.Loop() {
		if got := post(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"message":"hello"}}}`); !strings.Contains(string(got.body), `"id":1,"result"`) {
			b.Fatalf("%+v", got)
		}
	}
}
