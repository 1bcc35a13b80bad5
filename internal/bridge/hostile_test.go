package bridge_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/drengskapur/fastmcp-runner/internal/bridge"
)

// Bodies that are meant to make the bridge and its server see different
// things, or to wear one of them out.
func TestHostileBodies(t *testing.T) {
	t.Parallel()
	h := open(t, nil)
	c := h.begin(t, "2025-03-26")
	nested := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for _, tt := range []struct {
		name, body string
		status     int
		answer     string // a part of it
	}{
		{"the id twice", `{"jsonrpc":"2.0","id":1,"id":2,"method":"echo","params":{}}`, 400, `the message has \"id\" twice`},
		{"the id once more with an escape", `{"jsonrpc":"2.0","id":1,"\u0069d":2,"method":"echo","params":{}}`, 400, `the message has \"id\" twice`},
		{"the id in another case", `{"jsonrpc":"2.0","Id":1,"method":"echo","params":{}}`, 400, `which is written \"id\"`},
		{"the id in another case, with an escape", `{"jsonrpc":"2.0","id":1,"\u0049D":2,"method":"echo","params":{}}`, 400, `which is written \"id\"`},
		{"the method in letters that fold", `{"jsonrpc":"2.0","id":1,"method":"echo","param` + "\u017f" + `":{}}`, 400, `which is written \"params\"`},
		{"the method twice", `{"jsonrpc":"2.0","id":1,"method":"echo","method":"die","params":{}}`, 400, `twice`},
		{"the progress token twice", call("1", "echo", `{"_meta":{"progressToken":1,"progressToken":2}}`), 400, `twice`},
		{"_meta twice", call("1", "echo", `{"_meta":{},"_meta":{"progressToken":2}}`), 400, `twice`},
		{"a cancellation of two", `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1,"requestId":2}}`, 400, `twice`},
		{"another kind besides", `{"jsonrpc":"2.0","id":1,"method":"echo","params":{},"result":{}}`, 200, `"id":1,"result":{}`},
		{"nested too deep", call("1", "echo", nested(10_001)), 400, `not JSON`},
		{"objects nested too deep", call("1", "echo", strings.Repeat(`{"a":`, 10_001)+"1"+strings.Repeat("}", 10_001)), 400, `not JSON`},
		{"half a bomb", strings.Repeat("[", 1<<20), 400, `not JSON`},
		{"NUL", `{"jsonrpc":"2.0","id":1,"method":"echo` + "\x00" + `","params":{}}`, 400, `not JSON`},
		{"an escaped NUL", call(`"\u0000"`, "echo", `{"a":"\u0000"}`), 200, `"id":"\u0000","result":{"a":"\u0000"}`},
		{"a byte order mark", "\ufeff" + call("1", "echo", "{}"), 400, `not JSON`},
		{"UTF-16", "{\x00\"\x00", 400, `not JSON`},
		{"half a surrogate pair", call(`"\ud800"`, "echo", `{"a":"\udc00"}`), 200, `"id":"\ud800","result":{"a":"\udc00"}`},
		{"line breaks in odd places", "{\"jsonrpc\":\"2.0\",\r\n\"id\":\n1,\"method\":\"echo\",\r\"params\":{}}", 200, `"id":1,"result":{}`},
		{"a line separator of Unicode", call("1", "echo", "{\"a\":\"\u2028\"}"), 200, "\u2028"},
		{"two messages in one body", call("1", "echo", "{}") + "\n" + call("2", "echo", "{}"), 400, `not JSON`},
		{"a huge exponent for an id", call("1e999999999", "echo", "{}"), 200, `"id":1e999999999,`},
		{"a long id", call(`"`+strings.Repeat("x", 5000)+`"`, "echo", "{}"), 400, `more than 4096 bytes`},
		{"a long token", call("1", "echo", `{"_meta":{"progressToken":"`+strings.Repeat("x", 5000)+`"}}`), 400, `more than 4096 bytes`},
		{"a million messages", "[" + strings.Repeat(`{"jsonrpc":"2.0","method":"x"},`, 500_000) + `{"jsonrpc":"2.0","method":"x"}]`, 400, `more than 1000 messages`},
		{"a million nothings", "[" + strings.Repeat("0,", 1_000_000) + "0]", 400, `more than 1000 messages`},
		{"a batch that answers itself", `[` + call("1", "echo", "{}") + `,{"jsonrpc":"2.0","id":1,"result":{}},` + call("1.0", "echo", "{}") + `]`, 400, `same id`},
		{"a method with line breaks", `{"jsonrpc":"2.0","method":"a\nlevel=ERROR msg=forged"}`, 202, ""},
		{"an empty method", call("1", "", "{}"), 400, `not a name`},
		{"another session's end", `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"fastmcp-runner initialize"}}`, 202, ""},
	} {
		got := c.post(tt.body)
		if got.status != tt.status || !strings.Contains(got.body, tt.answer) {
			t.Errorf("%s: %d %.300s, want %d %s", tt.name, got.status, got.body, tt.status, tt.answer)
		}
	}
	if got := c.wants(http.StatusOK, call("1", "echo", "{}")); got.body != result("1") {
		t.Errorf("after all that: %s", got.body)
	}
	if n := h.Health().Sessions; n != 1 {
		t.Errorf("%d sessions", n)
	}
	for line := range strings.Lines(h.log.String()) {
		if strings.HasPrefix(line, "level=ERROR") {
			t.Errorf("a client writes to the log: %s", line)
		}
	}
}

func TestOddEventIDsAreRefused(t *testing.T) {
	t.Parallel()
	c := open(t, nil).begin(t, "2025-11-25")
	c.stream(http.MethodPost, say("1", note)).wants("", note) // stream 2
	for _, id := range []string{
		"p", "p2", "p2.", ".1", "2.1", "p2.1.1", "p+2.1", "p-2.1", "p2.-1", "p0x2.1", "p2_0.1", "p02.9", "g2.1", "q2.1", "P2.1",
		"p2.2", "p99999999999999999999.1", "p2.9223372036854775808", "p2.18446744073709551615", "é", "p2\t.1", strings.Repeat("9", 4000),
	} {
		if got := c.with("Last-Event-Id", id).send(http.MethodGet, ""); got.status != http.StatusBadRequest {
			t.Errorf("%.30q: %d %s", id, got.status, got.body)
		}
	}
	c.with("Last-Event-Id", "p2.1").stream(http.MethodGet, "").wants("")
}

// A page of elsewhere can make a browser ask for an image, for which it sends
// no Origin. It must not start servers.
func TestPagesOfElsewhereStartNoServers(t *testing.T) {
	t.Parallel()
	h := open(t, func(opts *bridge.Options) { opts.SSE = bridge.SSEOn })
	sse := client{t, h.url + "/sse", http.Header{"Sec-Fetch-Site": {"cross-site"}, "Accept": {"image/png"}}}
	if got := sse.send(http.MethodGet, ""); got.status != http.StatusForbidden {
		t.Errorf("an image: %d %s", got.status, got.body)
	}
	if got := h.client(t).with("Sec-Fetch-Site", "cross-site").post(strings.Replace(hello, "VERSION", "2025-11-25", 1)); got.status != http.StatusForbidden {
		t.Errorf("a form: %d %s", got.status, got.body)
	}
	two := h.client(t).with("Origin", "http://localhost")
	two.headers["Origin"] = append(two.headers["Origin"], "https://evil.com")
	if got := two.post(strings.Replace(hello, "VERSION", "2025-11-25", 1)); got.status != http.StatusForbidden {
		t.Errorf("two origins: %d %s", got.status, got.body)
	}
	if n := h.Health().Sessions; n != 0 {
		t.Errorf("%d servers were started", n)
	}
	// A page that is allowed says where it is from.
	allowed := h.client(t).with("Sec-Fetch-Site", "cross-site").with("Origin", "http://localhost:6274")
	allowed.wants(http.StatusOK, strings.Replace(hello, "VERSION", "2025-11-25", 1))
	if refusals := strings.Count(h.log.String(), "Refused a request"); refusals != 1 {
		t.Errorf("%d lines in the log about requests that anybody can make", refusals)
	}
}

// raw sends bytes and returns the status of the first response.
func raw(t *testing.T, url, request string) int {
	t.Helper()
	conn := dial(t, url)
	if _, err := conn.Write([]byte(request)); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

func dial(t *testing.T, url string) net.Conn {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// What proxies and servers have disagreed about, so that a request was
// smuggled past the proxy (RFC 9112, 11.2).
func TestAmbiguousRequestsAreRefused(t *testing.T) {
	t.Parallel()
	h := open(t, nil)
	body := strings.Replace(hello, "VERSION", "2025-11-25", 1)
	const head = "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\n"
	length := fmt.Sprintf("Content-Length: %d\r\n", len(body))
	for _, tt := range []struct {
		name, header string
		status       int
	}{
		{"a fine one", length, 200},
		{"two lengths", length + "Content-Length: 3\r\n", 400},
		{"a negative length", "Content-Length: -1\r\n", 400},
		{"a length with a sign", fmt.Sprintf("Content-Length: +%d\r\n", len(body)), 400},
		{"an unknown transfer coding", "Transfer-Encoding: xchunked\r\n", 501},
		{"two transfer codings", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", 501},
		{"space before the colon", "Content-Length : 3\r\n", 400},
		{"two hosts", "Host: evil.com\r\n" + length, 400},
		{"a header of two lines", "X-A: b\r\n c\r\n" + length, 200}, // RFC 9112, 5.2, lets it be joined
		{"a header with NUL", "X-A: b\x00c\r\n" + length, 400},
		{"a header that is too long", "X-A: " + strings.Repeat("x", 2<<20) + "\r\n" + length, 431},
	} {
		if got := raw(t, h.url, head+tt.header+"\r\n"+body); got != tt.status {
			t.Errorf("%s: status %d, want %d", tt.name, got, tt.status)
		}
	}
}

func TestLargeRequestsShareWhatMemoryThereIs(t *testing.T) {
	t.Parallel()
	h := open(t, func(opts *bridge.Options) { opts.MaxBody = 1 << 20 })
	c := h.begin(t, "2025-11-25")
	large := call("1", "echo", `"`+strings.Repeat("x", 900_000)+`"`)
	c.wants(http.StatusOK, large)
	var slow []net.Conn
	for range 8 {
		conn := dial(t, h.url)
		if _, err := fmt.Fprintf(conn, "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nMcp-Session-Id: %s\r\nContent-Length: %d\r\n\r\n%s",
			c.headers.Get("Mcp-Session-Id"), len(large), large[:800_000]); err != nil {
			t.Fatal(err)
		}
		slow = append(slow, conn)
	}
	eventually(t, "a large request is refused", func() bool {
		got := c.post(large)
		return got.status == http.StatusServiceUnavailable && got.header.Get("Retry-After") == "1"
	})
	c.wants(http.StatusOK, call("2", "echo", "{}")) // a small one is not
	for _, conn := range slow {
		_ = conn.Close()
	}
	eventually(t, "there is memory again", func() bool { return c.post(large).status == http.StatusOK })
}

func TestASubscriptionHasLimits(t *testing.T) {
	t.Parallel()
	h := open(t, nil)
	for uris, want := range map[string]string{
		`"a://b"` + strings.Repeat(`,"a://b"`, 256): "the subscription names more than 256 resources",
		`"a://` + strings.Repeat("b", 64<<10) + `"`: "the filter of the subscription has more than 65536 bytes",
	} {
		c, body := h.stateless(t).ask("1", "subscriptions/listen", "", `,"notifications":{"resourceSubscriptions":[`+uris+`]}`)
		if got := c.post(body); !strings.Contains(got.body, `"code":-32602,"message":"`+want+`"`) {
			t.Errorf("got %d %s, want %s", got.status, got.body, want)
		}
	}
}

// Revision 2026-07-28 has no requests of servers, and no responses of clients.
func TestAModernServerGetsNoResponses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		server  string
		answers bool
	}{{"modern", false}, {"puppet", true}} {
		h := open(t, func(opts *bridge.Options) { opts.Command = command(tt.server) })
		c, body := h.stateless(t).ask("1", "say", "", lines(question, done))
		c.wants(http.StatusOK, body)
		c, body = h.stateless(t).ask("2", "tools/list", "", "")
		c.wants(http.StatusOK, body)
		answered := func() bool { return strings.Contains(h.log.String(), `got {\"jsonrpc\":\"2.0\",\"id\":\"q1\"`) }
		if tt.answers {
			eventually(t, "an older server is told that nobody can be asked", answered)
		} else if answered() {
			t.Error("a modern server got a response")
		}
	}
}
