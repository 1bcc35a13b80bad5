package bridge

import (
	"encoding/json"
	"net/http"
	"slices"

	"github.com/drengskapur/fastmcp-runner/internal/bridge/jsonrpc"
)

// translate serves a modern request by a server of an older revision.
func (b *Bridge) translate(w http.ResponseWriter, r *http.Request, l *lane, m *modernRequest) error {
	switch m.Method {
	case "server/discover":
		writeFailure(w, http.StatusOK, jsonrpc.Result(m.Bytes(m.ID), l.describe()))
		return nil
	case "subscriptions/listen":
		return b.listen(w, r, l, m)
	// What this revision has removed. A legacy server would do it, but for all.
	case "initialize", "ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe":
		return &fault{code: jsonrpc.CodeMethodNotFound, text: "Method not found"}
	}
	return b.carry(w, r, l, m, l.adapt(m.Method))
}

// isExchange says whether a request needs a server for itself for a while.
func (m *modernRequest) isExchange() bool {
	switch m.Method {
	case "tools/call", "prompts/get", "resources/read":
		return m.logLevel != "" || len(m.canBeAsked()) > 0 || !m.Field(m.Params, "requestState").Absent()
	// A server may offer more to a client that it can ask back.
	case "tools/list", "prompts/list", "resources/list", "resources/templates/list":
		return len(m.canBeAsked()) > 0
	}
	return false
}

// exchange begins an exchange, or goes on with one.
func (b *Bridge) exchange(w http.ResponseWriter, r *http.Request, l *lane, m *modernRequest) error {
	if state := m.Field(m.Params, "requestState"); m.isNamed() && !state.Absent() {
		return b.resumeExchange(w, r, m, m.Text(state))
	}
	return b.beginExchange(w, r, l, m)
}

// questions are the requests that a server can make of a client, and the
// capabilities that they need.
func questions() map[string]string {
	return map[string]string{
		"elicitation/create": "elicitation", "sampling/createMessage": "sampling", "roots/list": "roots",
	}
}

// questions returns which questions the server may ask because of the request.
func (m *modernRequest) questions() []string {
	if !m.isNamed() {
		return nil
	}
	return m.canBeAsked()
}

// canBeAsked returns which questions the client answers.
func (m *modernRequest) canBeAsked() []string {
	var methods []string
	for method, capability := range questions() {
		if !m.Field(m.capabilities, capability).Absent() {
			methods = append(methods, method)
		}
	}
	return methods
}

// describe returns what server/discover answers, from what initialize did.
func (l *lane) describe() json.RawMessage {
	h := &l.hello
	return jsonrpc.Encode(struct {
		ResultType   string                     `json:"resultType"`
		Versions     []string                   `json:"supportedVersions"`
		Capabilities json.RawMessage            `json:"capabilities"`
		Instructions json.RawMessage            `json:"instructions,omitempty"`
		TTL          int                        `json:"ttlMs"`
		Scope        string                     `json:"cacheScope"`
		Meta         map[string]json.RawMessage `json:"_meta"`
	}{
		"complete", l.versions, orEmpty(h.Bytes(h.Field(h.Result, "capabilities"))),
		h.Bytes(h.Field(h.Result, "instructions")), 0, "private",
		map[string]json.RawMessage{metaServer: l.serverInfo()},
	})
}

func (l *lane) serverInfo() json.RawMessage {
	return orEmpty(l.hello.Bytes(l.hello.Field(l.hello.Result, "serverInfo")))
}

func orEmpty(object []byte) json.RawMessage {
	if object == nil {
		return json.RawMessage("{}")
	}
	return object
}

// adapt returns what makes an answer of the server one of this revision: it
// says that it is complete, for how long it may be cached, and whose it is.
func (l *lane) adapt(method string) func(jsonrpc.Message) jsonrpc.Message {
	return func(m jsonrpc.Message) jsonrpc.Message {
		if m.Result.Absent() {
			return adaptError(m)
		}
		if method == "tools/list" {
			l.mirrors.learn(&m)
		}
		m = withMember(m, m.Result, "resultType", json.RawMessage(`"complete"`))
		if isCacheable(method) {
			m = withMember(m, m.Result, "ttlMs", json.RawMessage("0"))
			m = withMember(m, m.Result, "cacheScope", json.RawMessage(`"private"`))
		}
		m = withMember(m, m.Result, "_meta", json.RawMessage("{}"))
		return withMember(m, m.Field(m.Result, "_meta"), metaServer, l.serverInfo())
	}
}

// isCacheable says whether answers must say for how long they may be cached
// (server/utilities/caching).
func isCacheable(method string) bool {
	return slices.Contains([]string{
		"tools/list", "prompts/list", "resources/list", "resources/templates/list", "resources/read",
	}, method)
}

// adaptError replaces the codes that this revision has given up (basic/index,
// Error Codes): for a resource that is not there, and for a URL that the user
// has to visit, of a client that cannot be asked to.
func adaptError(m jsonrpc.Message) jsonrpc.Message {
	code := m.Field(m.Error, "code")
	switch string(m.Bytes(code)) {
	case "-32002":
		return m.With(jsonrpc.Edit{At: code, With: []byte("-32602")})
	case codeVisitRequired:
		return m.With(jsonrpc.Edit{At: code, With: []byte("-32603")})
	}
	return m
}

// withMember adds a member to an object in a message, unless it has one of
// that name.
func withMember(m jsonrpc.Message, object jsonrpc.Span, name string, value json.RawMessage) jsonrpc.Message {
	if object.Absent() || m.Bytes(object)[0] != '{' || !m.Field(object, name).Absent() {
		return m
	}
	text := append(jsonrpc.Encode(name), ':')
	text = append(text, value...)
	for range m.Members(object) { // it has others
		text = append(text, ',')
		break
	}
	start := object.Start + 1
	return m.With(jsonrpc.Edit{At: jsonrpc.Span{Start: start, End: start}, With: text})
}
