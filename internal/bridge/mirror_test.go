package bridge_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/drengskapur/fastmcp-runner/internal/bridge"
)

// mirroringTools is a list of tools of which some have arguments that headers
// repeat, and some have them wrongly.
const mirroringTools = `{"tools":[
	{"name":"t","inputSchema":{"type":"object","properties":{
		"region":{"type":"string","x-mcp-header":"Region"},
		"count":{"type":"integer","x-mcp-header":"Count"},
		"dry":{"type":"boolean","x-mcp-header":"dry-run"},
		"where":{"type":"object","properties":{"zone":{"type":"string","x-mcp-header":"Zone"}}},
		"any":true}}},
	{"name":"twice","inputSchema":{"properties":{"a":{"type":"string","x-mcp-header":"A"},"b":{"type":"string","x-mcp-header":"a"}}}},
	{"name":"float","inputSchema":{"properties":{"a":{"type":"number","x-mcp-header":"A"}}}},
	{"name":"space","inputSchema":{"properties":{"a":{"type":"string","x-mcp-header":"A B"}}}},
	{"name":"items","inputSchema":{"properties":{"a":{"type":"array","items":{"type":"string","x-mcp-header":"A"}}}}}
]}`

// callTool calls a tool with arguments, which are a JSON text, and headers.
func (h house) callTool(t *testing.T, tool, arguments string, headers ...string) response {
	t.Helper()
	return h.callToolAs(t, `{}`, tool, arguments, headers...)
}

func (h house) callToolAs(t *testing.T, capabilities, tool, arguments string, headers ...string) response {
	t.Helper()
	c, body := h.stateless(t).askAs(capabilities, "1", "tools/call", "", `,"name":"`+tool+`","lines":["{\"jsonrpc\":\"2.0\",\"id\":$ID,\"result\":{}}"],"arguments":`+arguments)
	c = c.with("Mcp-Name", tool)
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		c.headers[http.CanonicalHeaderKey(name)] = append(c.headers[http.CanonicalHeaderKey(name)], value)
	}
	return c.post(body)
}

func TestHeadersRepeatTheArgumentsOfATool(t *testing.T) {
	t.Parallel()
	const right, wrong = http.StatusOK, http.StatusBadRequest
	// The bridge has asked this server for its tools itself.
	h := open(t, func(opts *bridge.Options) { opts.Command = command("mirroring") })
	for _, tt := range []struct {
		name, arguments string
		headers         []string
		status          int
	}{
		{"the same", `{"region":"us-west1"}`, []string{"Mcp-Param-Region: us-west1"}, right},
		{"in another case of the header's name", `{"region":"us-west1"}`, []string{"mcp-param-REGION: us-west1"}, right},
		{"not the same", `{"region":"us-west1"}`, []string{"Mcp-Param-Region: eu-west1"}, wrong},
		{"in another case of the value", `{"region":"us-west1"}`, []string{"Mcp-Param-Region: US-west1"}, wrong},
		{"a header is missing", `{"region":"us-west1"}`, nil, wrong},
		{"an empty value needs its header", `{"region":""}`, nil, wrong},
		{"an empty value", `{"region":""}`, []string{"Mcp-Param-Region: "}, right},
		{"no argument, no header", `{}`, nil, right},
		{"no argument, but a header", `{}`, []string{"Mcp-Param-Region: us-west1"}, wrong},
		{"null has no header", `{"region":null}`, nil, right},
		{"null, but a header", `{"region":null}`, []string{"Mcp-Param-Region: null"}, wrong},
		{"an object has no header", `{"region":{}}`, nil, right},
		{"an object, but a header", `{"region":{}}`, []string{"Mcp-Param-Region: {}"}, wrong},
		{"two headers", `{"region":"a"}`, []string{"Mcp-Param-Region: a", "Mcp-Param-Region: a"}, wrong},
		{"Base64", `{"region":"Hello, 世界"}`, []string{"Mcp-Param-Region: =?base64?SGVsbG8sIOS4lueVjA==?="}, right},
		{"Base64 of space", `{"region":" padded "}`, []string{"Mcp-Param-Region: =?base64?IHBhZGRlZCA=?="}, right},
		{"Base64 of several lines", `{"region":"line1\nline2"}`, []string{"Mcp-Param-Region: =?base64?bGluZTEKbGluZTI=?="}, right},
		{"Base64 of what looks like it", `{"region":"=?base64?literal?="}`, []string{"Mcp-Param-Region: =?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?="}, right},
		{"what looks like Base64 and is not", `{"region":"=?base64?literal?="}`, []string{"Mcp-Param-Region: =?base64?literal?="}, wrong},
		{"Base64 without its padding", `{"region":"Hello"}`, []string{"Mcp-Param-Region: =?base64?SGVsbG8?="}, wrong},
		{"Base64 with other letters", `{"region":"Hello"}`, []string{"Mcp-Param-Region: =?base64?SGVs!!!bG8=?="}, wrong},
		{"Base64 without its end is none", `{"region":"=?base64?SGVsbG8="}`, []string{"Mcp-Param-Region: =?base64?SGVsbG8="}, right},
		{"Base64 in another case is none", `{"region":"=?BASE64?SGVsbG8=?="}`, []string{"Mcp-Param-Region: =?BASE64?SGVsbG8=?="}, right},
		{"bytes above ASCII", `{"region":"é"}`, []string{"Mcp-Param-Region: é"}, wrong},
		{"an escape in the body", `{"region":"us\u002dwest1"}`, []string{"Mcp-Param-Region: us-west1"}, right},
		{"an escape in the name", `{"r\u0065gion":"a"}`, []string{"Mcp-Param-Region: a"}, right},
		{"the argument twice", `{"region":"a","region":"b"}`, []string{"Mcp-Param-Region: a"}, wrong},
		{"the argument in two cases", `{"region":"a","Region":"b"}`, []string{"Mcp-Param-Region: a"}, wrong},
		{"an integer", `{"count":42}`, []string{"Mcp-Param-Count: 42"}, right},
		{"an integer with a fraction", `{"count":42}`, []string{"Mcp-Param-Count: 42.0"}, right},
		{"another integer", `{"count":42}`, []string{"Mcp-Param-Count: 43"}, wrong},
		{"an integer with an exponent in the body", `{"count":4.2e1}`, []string{"Mcp-Param-Count: 42"}, right},
		{"an integer in another base", `{"count":42}`, []string{"Mcp-Param-Count: 0x2a"}, wrong},
		{"an integer beyond what is exact", `{"count":9007199254740993}`, []string{"Mcp-Param-Count: 9007199254740992"}, wrong},
		{"the same digits beyond what is exact", `{"count":9007199254740993}`, []string{"Mcp-Param-Count: 9007199254740993"}, right},
		{"a negative integer", `{"count":-7}`, []string{"Mcp-Param-Count: -7"}, right},
		{"a boolean", `{"dry":true}`, []string{"Mcp-Param-Dry-Run: true"}, right},
		{"another boolean", `{"dry":true}`, []string{"Mcp-Param-Dry-Run: True"}, wrong},
		{"an argument inside of another one", `{"where":{"zone":"b"}}`, []string{"Mcp-Param-Zone: b"}, right},
		{"an argument inside without its header", `{"where":{"zone":"b"}}`, nil, wrong},
		{"nothing inside", `{"where":7}`, nil, right},
		{"a header that nobody knows", `{}`, []string{"Mcp-Param-Other: x"}, right},
		{"no arguments at all", `null`, nil, right},
	} {
		got := h.callTool(t, "t", tt.arguments, tt.headers...)
		if got.status != tt.status || (tt.status == wrong) != strings.Contains(got.body, `"code":-32020,"message":"Header mismatch: `) {
			t.Errorf("%s: %d %s, want %d", tt.name, got.status, got.body, tt.status)
		}
	}
	for _, tool := range []string{"twice", "float", "space", "items", "unknown"} {
		if got := h.callTool(t, tool, `{"a":"x"}`); got.status != right {
			t.Errorf("tool %s, which has nothing to repeat: %d %s", tool, got.status, got.body)
		}
	}
}

func TestTheBridgeLearnsFromListsThatPass(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ server, capabilities string }{
		{"modern", `{}`},
		{"puppet", `{}`},
		{"puppet", `{"roots":{}}`}, // whose list comes from a server of its own
	} {
		h := open(t, func(opts *bridge.Options) { opts.Command = command(tt.server) })
		if got := h.callToolAs(t, tt.capabilities, "t", `{"region":"a"}`); got.status != http.StatusOK {
			t.Errorf("%s: before: %d %s", tt.server, got.status, got.body)
		}
		list := func(mark string) {
			c, body := h.stateless(t).askAs(tt.capabilities, "1", "tools/list", "",
				`,"tools":[{"name":"t","inputSchema":{"properties":{"region":{"type":"string"`+mark+`}}}}]`)
			c.wants(http.StatusOK, body)
		}
		list(`,"x-mcp-header":"Region"`)
		if got := h.callToolAs(t, tt.capabilities, "t", `{"region":"a"}`); got.status != http.StatusBadRequest {
			t.Errorf("%s: after a list with a mark: %d %s", tt.server, got.status, got.body)
		}
		list("")
		if got := h.callToolAs(t, tt.capabilities, "t", `{"region":"a"}`); got.status != http.StatusOK {
			t.Errorf("%s: after a list without: %d %s", tt.server, got.status, got.body)
		}
	}
}

func TestWhatAModernRequestSaysTwiceIsRefused(t *testing.T) {
	t.Parallel()
	h := open(t, modern)
	c, body := h.stateless(t).ask("1", "tools/call", `,"io.modelcontextprotocol/logLevel":"info"`, lines(done))
	for _, tt := range []struct{ name, old, new string }{
		{"a name", `"name":"t"`, `"name":"t","name":"u"`},
		{"a name in another case", `"name":"t"`, `"name":"t","NAME":"u"`},
		{"a name with an escape", `"name":"t"`, `"name":"t","n\u0061me":"u"`},
		{"arguments", `"name":"t"`, `"name":"t","arguments":{},"arguments":{}`},
		{"_meta", `"name":"t"`, `"name":"t","_meta":{}`},
		{"a revision", `"io.modelcontextprotocol/protocolVersion":`, `"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/protocolVersion":`},
		{"capabilities", `"io.modelcontextprotocol/clientCapabilities":`, `"io.modelcontextprotocol/clientCapabilities":{"roots":{}},"io.modelcontextprotocol/clientCapabilities":`},
		{"a log level", `"io.modelcontextprotocol/logLevel":`, `"io.modelcontextprotocol/logLevel":"debug","io.modelcontextprotocol/loglevel":`},
	} {
		got := c.post(strings.Replace(body, tt.old, tt.new, 1))
		if got.status != http.StatusBadRequest || !strings.Contains(got.body, `"code":-32600`) {
			t.Errorf("%s: %d %s", tt.name, got.status, got.body)
		}
	}
	c.wants(http.StatusOK, body)
	for _, header := range []string{"Mcp-Name", "Mcp-Method", "Mcp-Protocol-Version"} {
		twice := c.with(header, c.headers.Get(header))
		twice.headers[header] = append(twice.headers[header], "other")
		if got := twice.post(body); got.status != http.StatusBadRequest || !strings.Contains(got.body, `"code":-32020`) {
			t.Errorf("two %s headers: %d %s", header, got.status, got.body)
		}
	}
	if got := c.with("Mcp-Method", "=?base64?dG9vbHMvY2FsbA==?=").post(body); got.status != http.StatusBadRequest {
		t.Errorf("a method in Base64: %d %s", got.status, got.body)
	}
}
