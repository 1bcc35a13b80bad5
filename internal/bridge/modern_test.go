package bridge_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/drengskapur/fastmcp-runner/internal/bridge"
)

func modern(opts *bridge.Options) { opts.Command = command("modern") }

// stateless is a modern client. It keeps to the protocol unless a test says
// otherwise.
func (h house) stateless(t *testing.T) client {
	t.Helper()
	return h.client(t).with("Mcp-Protocol-Version", "2026-07-28")
}

// ask returns the client and the body of a modern request. Extra are further
// members of its _meta, the rest further parameters, each after a comma.
func (c client) ask(id, method, extra, rest string) (client, string) {
	return c.askAs(`{}`, id, method, extra, rest)
}

func (c client) askAs(capabilities, id, method, extra, rest string) (client, string) {
	params := `{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":` +
		capabilities + extra + `}` + rest + `}`
	if method == "tools/call" {
		c = c.with("Mcp-Name", "t")
	}
	return c.with("Mcp-Method", method), call(id, method, params)
}

// lines returns the parameters that make the puppet write lines.
func lines(texts ...string) string {
	list, err := json.Marshal(texts)
	if err != nil {
		panic(err)
	}
	return `,"name":"t","lines":` + string(list)
}

const (
	done          = `{"jsonrpc":"2.0","id":$ID,"result":{}}`
	tokenProgress = `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":$TOKEN,"progress":1}}`
)

func TestModernClientsShareAServerAndDoNotNotice(t *testing.T) {
	t.Parallel()
	h := open(t, modern)
	// Both use the same id and the same token, at the same time.
	var streams []*events
	for range 2 {
		c, body := h.stateless(t).ask(`"same"`, "say", `,"progressToken":7`, lines(tokenProgress))
		streams = append(streams, c.stream(http.MethodPost, body))
	}
	const own = `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":7,"progress":1}}`
	for _, s := range streams {
		s.wants(own)
	}
	// Numbers 1 and 2 are what the server knows them by.
	c, body := h.stateless(t).ask("9007199254740993", "say", "", lines(
		strings.ReplaceAll(done, "$ID", "2"), strings.ReplaceAll(tokenProgress, "$TOKEN", "1"),
		strings.ReplaceAll(done, "$ID", "1"), done,
	))
	if got := c.wants(http.StatusOK, body); got.body != result("9007199254740993") {
		t.Errorf("got %s", got.body)
	}
	streams[1].wants(result(`"same"`))
	streams[1].wantsEnd()
	streams[0].wants(own, result(`"same"`))
	streams[0].wantsEnd()
	if n := h.Health().Sessions; n != 1 {
		t.Errorf("%d servers", n)
	}
}

func TestLogMessagesReachOnlyWhoeverAskedForThem(t *testing.T) {
	t.Parallel()
	h := open(t, modern)
	const level = `,"io.modelcontextprotocol/logLevel":"info"`
	quiet, body := h.stateless(t).ask("1", "say", "", lines(note, done))
	if got := quiet.wants(http.StatusOK, body); got.body != result("1") {
		t.Errorf("a client that asked for none got %s", got.body)
	}
	c, body := h.stateless(t).ask("1", "say", level, lines(note))
	first := c.stream(http.MethodPost, body)
	first.wants(note)
	c, body = h.stateless(t).ask("2", "say", level, lines(note, strings.ReplaceAll(done, "$ID", "2"), done))
	if got := c.wants(http.StatusOK, body); got.body != result("2") {
		t.Errorf("of two clients that asked for some, the second got %s", got.body)
	}
	first.wants(result("1"))
}

func TestAModernClientCancelsByLeaving(t *testing.T) {
	t.Parallel()
	h := open(t, modern)
	c, body := h.stateless(t).ask(`"x"`, "say", `,"progressToken":"x"`, lines(tokenProgress))
	stream := c.stream(http.MethodPost, body)
	stream.next()
	stream.cut()
	eventually(t, "the server hears of it", func() bool {
		return strings.Contains(h.log.String(), `\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":1,`)
	})
}

func TestASubscriptionToAModernServer(t *testing.T) {
	t.Parallel()
	h := open(t, modern)
	const key = `"params":{"_meta":{"io.modelcontextprotocol/subscriptionId":`
	ack := `{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged",` + key
	changed := `{"jsonrpc":"2.0","method":"notifications/tools/list_changed",` + key
	c, body := h.stateless(t).ask(`"sub"`, "say", "", lines(ack+`$ID}}}`, changed+`$ID}}}`))
	stream := c.stream(http.MethodPost, body)
	stream.wants(ack+`"sub"}}}`, changed+`"sub"}}}`)
	const cancelled = `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":`
	c, body = h.stateless(t).ask("2", "say", "", lines(cancelled+`1}}`, done))
	c.wants(http.StatusOK, body)
	stream.wants(cancelled + `"sub"}}`)
	stream.wantsEnd()
}

func TestWhatAModernRequestMustSay(t *testing.T) {
	t.Parallel()
	h := open(t, modern)
	right, body := h.stateless(t).ask("1", "tools/call", "", lines(done))
	other, _ := h.stateless(t).ask("1", "tools/list", "", "")
	missing, missingBody := h.stateless(t).ask("1", "missing", "", "")
	for _, tt := range []struct {
		name   string
		c      client
		body   string
		status int
		code   string
	}{
		{"all of it", right, body, 200, ""},
		{"all of it, with a session of the past", right.with("Mcp-Session-Id", "old"), body, 200, ""},
		{"a name in Base64", right.with("Mcp-Name", "=?base64?dA==?="), body, 200, ""},
		{"no revision in the header", right.with("Mcp-Protocol-Version", ""), body, 400, "-32020"},
		{"another revision in the header", right.with("Mcp-Protocol-Version", "2027-01-01"), body, 400, "-32020"},
		{"no method in the header", right.with("Mcp-Method", ""), body, 400, "-32020"},
		{"another method in the header", other.with("Mcp-Name", "t"), body, 400, "-32020"},
		{"no name in the header", right.with("Mcp-Name", ""), body, 400, "-32020"},
		{"another name in the header", right.with("Mcp-Name", "T"), body, 400, "-32020"},
		{"a name in wrong Base64", right.with("Mcp-Name", "=?base64?d?="), body, 400, "-32020"},
		{"no revision in the body", right, strings.Replace(body, "/protocolVersion", "/x", 1), 400, "-32602"},
		{"no capabilities", right, strings.Replace(body, "/clientCapabilities", "/x", 1), 400, "-32602"},
		{"a revision that nobody speaks", right.with("Mcp-Protocol-Version", "1900-01-01"), strings.Replace(body, "2026-07-28", "1900-01-01", 1), 400, "-32022"},
		{"a method that the server lacks", missing, missingBody, 404, "-32601"},
		{"a response", right, result("1"), 400, "-32600"},
		{"a notification", right, `{"jsonrpc":"2.0","method":"x"}`, 202, ""},
	} {
		got := tt.c.post(tt.body)
		if got.status != tt.status || tt.code != "" && !strings.Contains(got.body, `"code":`+tt.code) {
			t.Errorf("%s: %d %s, want %d %s", tt.name, got.status, got.body, tt.status, tt.code)
		}
	}
}

func TestBothErasAtOneEndpoint(t *testing.T) {
	t.Parallel()
	for _, server := range []string{"puppet", "modern"} {
		h := open(t, func(opts *bridge.Options) { opts.Command = command(server) })
		old := h.begin(t, "2025-11-25")
		c, body := h.stateless(t).ask("1", "tools/list", "", "")
		c.wants(http.StatusOK, body)
		old.wants(http.StatusOK, call("1", "echo", "{}"))
	}
}

func TestAModernRequestSurvivesACrashOfTheLastOne(t *testing.T) {
	t.Parallel()
	for _, server := range []string{"puppet", "modern"} {
		h := open(t, func(opts *bridge.Options) { opts.Command = command(server) })
		c, body := h.stateless(t).ask("1", "die", "", "")
		if got := c.wants(http.StatusOK, body); !strings.Contains(got.body, `"id":1,"error"`) || !strings.Contains(got.body, "dying as told") {
			t.Errorf("%s: got %s", server, got.body)
		}
		c, body = h.stateless(t).ask("2", "tools/list", "", "")
		c.wants(http.StatusOK, body)
	}
}

func TestAModernClientAndALegacyServer(t *testing.T) {
	t.Parallel()
	h := open(t, nil)
	const meta = `"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"puppet","version":"1"}}`
	for _, tt := range []struct {
		name, method, rest string
		status             int
		want               string
	}{
		{
			"it is described", "server/discover", "", 200,
			`{"jsonrpc":"2.0","id":1,"result":{"resultType":"complete","supportedVersions":["2026-07-28","2025-11-25","2025-06-18","2025-03-26"],` +
				`"capabilities":{"tools":{"listChanged":true},"resources":{"subscribe":true}},"ttlMs":0,"cacheScope":"private",` + meta + `}}`,
		},
		{
			"its answers are completed", "say", lines(`{"jsonrpc":"2.0","id":$ID,"result":{"n":9007199254740993}}`), 200,
			`{"jsonrpc":"2.0","id":1,"result":{` + meta + `,"resultType":"complete","n":9007199254740993}}`,
		},
		{"a method that it lacks", "missing", "", 404, `{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"no such method"}}`},
		{"a method that there is no more", "ping", "", 404, `{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"Method not found"}}`},
		{
			"a code that there is no more", "resources/read", `,"uri":"t"`, 200,
			`{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"no such resource"}}`,
		},
	} {
		c, body := h.stateless(t).ask("1", tt.method, "", tt.rest)
		got := c.with("Mcp-Name", "t").post(body)
		if diff := cmp.Diff(tt.want, got.body); got.status != tt.status || diff != "" {
			t.Errorf("%s: status %d: -want +got\n%s", tt.name, got.status, diff)
		}
	}
}

func TestASubscriptionToALegacyServer(t *testing.T) {
	t.Parallel()
	h := open(t, nil)
	c, body := h.stateless(t).ask(`"sub"`, "subscriptions/listen", "", `,"notifications":{"toolsListChanged":true,"promptsListChanged":true,"resourceSubscriptions":["a://b"]}`)
	stream := c.stream(http.MethodPost, body)
	const meta = `"_meta":{"io.modelcontextprotocol/subscriptionId":"sub"}`
	stream.wants(`{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{` + meta +
		`,"notifications":{"toolsListChanged":true,"resourceSubscriptions":["a://b"]}}}`)
	c, body = h.stateless(t).ask("1", "say", "", lines(
		`{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}`,
		`{"jsonrpc":"2.0","method":"notifications/prompts/list_changed"}`,
		`{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"a://c"}}`,
		`{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"a://b"}}`, done,
	))
	c.wants(http.StatusOK, body)
	stream.wants(
		`{"params":{`+meta+`},"jsonrpc":"2.0","method":"notifications/tools/list_changed"}`,
		`{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{`+meta+`,"uri":"a://b"}}`,
	)
	stream.cut()
	for _, method := range []string{"subscribe", "unsubscribe"} {
		eventually(t, "the server is told to "+method, func() bool {
			return strings.Contains(h.log.String(), `\"method\":\"resources/`+method+`\",\"params\":{\"uri\":\"a://b\"}}`)
		})
	}
}

func TestASubscriptionEndsGracefully(t *testing.T) {
	t.Parallel()
	h := open(t, nil)
	c, body := h.stateless(t).ask("5", "subscriptions/listen", "", `,"notifications":{}`)
	stream := c.stream(http.MethodPost, body)
	stream.next()
	h.Shutdown(t.Context())
	stream.wants(`{"jsonrpc":"2.0","id":5,"result":{"resultType":"complete","_meta":{"io.modelcontextprotocol/subscriptionId":5}}}`)
	stream.wantsEnd()
}
