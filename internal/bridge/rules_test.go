package bridge_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/drengskapur/fastmcp-runner/internal/bridge"
)

// Rules of the transports that no other test shows.

func TestWhatIsAcceptedIsAnsweredByNothing(t *testing.T) {
	t.Parallel()
	h := open(t, nil)
	legacy, modern := h.begin(t, "2025-11-25"), h.stateless(t)
	for name, got := range map[string]response{
		"a notification":                  legacy.post(`{"jsonrpc":"2.0","method":"x"}`),
		"a response":                      legacy.post(result(`"q"`)),
		"an error":                        legacy.post(`{"jsonrpc":"2.0","id":"q","error":{"code":1,"message":"m"}}`),
		"a notification without sessions": modern.post(`{"jsonrpc":"2.0","method":"x"}`),
	} {
		if got.status != http.StatusAccepted || got.body != "" {
			t.Errorf("%s: %d %q, want 202 and nothing", name, got.status, got.body)
		}
	}
}

func TestSessionIDsAreVisibleASCIIAndDiffer(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"", "a key"} {
		h := open(t, func(opts *bridge.Options) { opts.SessionKey = []byte(key) })
		seen := map[string]bool{}
		for range 3 {
			id := h.begin(t, "2025-11-25").headers.Get("Mcp-Session-Id")
			if len(id) < 26 || seen[id] || strings.ContainsFunc(id, func(r rune) bool { return r < '!' || r > '~' }) {
				t.Errorf("session %q, after %v", id, seen)
			}
			seen[id] = true
		}
	}
}

func TestModernAnswersNameNoSession(t *testing.T) {
	t.Parallel()
	for _, server := range []string{"puppet", "modern"} {
		h := open(t, func(opts *bridge.Options) { opts.Command = command(server) })
		c, body := h.stateless(t).with("Mcp-Session-Id", "old").with("Last-Event-Id", "p1.1").ask("1", "tools/list", "", "")
		if id, ok := c.wants(http.StatusOK, body).header["Mcp-Session-Id"]; ok {
			t.Errorf("%s: session %s", server, id)
		}
		c, body = h.stateless(t).ask("2", "say", `,"progressToken":7`, lines(tokenProgress, done))
		stream := c.stream(http.MethodPost, body)
		if id, ok := stream.resp.Header["Mcp-Session-Id"]; ok {
			t.Errorf("%s: session %s", server, id)
		}
		if event, ok := stream.next(); !ok || event.ID != "" {
			t.Errorf("%s: the event %+v could be resumed", server, event)
		}
	}
}

func TestAServerGetsOneMessageOnALine(t *testing.T) {
	t.Parallel()
	h := open(t, nil)
	c := h.begin(t, "2025-11-25")
	c.wants(http.StatusAccepted, "{\r\n  \"jsonrpc\": \"2.0\",\n  \"id\": \"q\",\n  \"result\": {\n    \"text\": \"a\\nb\"\n  }\n}\n")
	eventually(t, "the server gets one line", func() bool {
		return strings.Contains(h.log.String(), `got {    \"jsonrpc\": \"2.0\",   \"id\": \"q\",   \"result\": {     \"text\": \"a\\nb\"   } }`)
	})
}
