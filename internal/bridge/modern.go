package bridge

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/drengskapur/fastmcp-runner/internal/bridge/jsonrpc"
)

// versionModern is the first revision without sessions: each request says by
// itself what it needs (2026-07-28, basic/versioning).
const versionModern = "2026-07-28"

// The headers that repeat what is in the body of a modern request.
const (
	methodHeader = "Mcp-Method"
	nameHeader   = "Mcp-Name"
)

// The keys of _meta that a modern request carries.
const (
	metaVersion      = "io.modelcontextprotocol/protocolVersion"
	metaCapabilities = "io.modelcontextprotocol/clientCapabilities"
	metaClient       = "io.modelcontextprotocol/clientInfo"
	metaServer       = "io.modelcontextprotocol/serverInfo"
	metaLogLevel     = "io.modelcontextprotocol/logLevel"
)

// The codes of errors that MCP 2026-07-28 defines.
const (
	codeHeaderMismatch     = -32020
	codeMissingCapability  = -32021
	codeUnsupportedVersion = -32022
)

// modernRequest is a request of a modern client, and what it says of itself.
type modernRequest struct {
	jsonrpc.Message
	version      string
	capabilities jsonrpc.Span
	client       jsonrpc.Span
	logLevel     string
}

func readModern(m jsonrpc.Message) modernRequest {
	meta := m.Field(m.Params, "_meta")
	return modernRequest{
		Message: m, version: m.Text(m.Field(meta, metaVersion)),
		capabilities: m.Field(meta, metaCapabilities), client: m.Field(meta, metaClient),
		logLevel: m.Text(m.Field(meta, metaLogLevel)),
	}
}

// isModern says whether a message is of a modern client. A client that begins
// a session is not, whatever its headers say.
func isModern(r *http.Request, m *jsonrpc.Message) bool {
	return r.Header.Get(versionHeader) >= versionModern && m.Method != "initialize" ||
		!m.Field(m.Field(m.Params, "_meta"), metaVersion).Absent()
}

// postModern serves a message of a modern client.
func (b *Bridge) postModern(w http.ResponseWriter, r *http.Request, m jsonrpc.Message) {
	switch m.Kind {
	case jsonrpc.Response:
		writeError(w, http.StatusBadRequest, jsonrpc.CodeInvalidRequest, "a client of this revision sends no responses")
		return
	case jsonrpc.Notification:
		// This revision has none that a client sends over HTTP.
		w.WriteHeader(http.StatusAccepted)
		return
	case jsonrpc.Request:
	}
	request := readModern(m)
	if fault := checkModern(r.Header, &request); fault != nil {
		writeFailure(w, http.StatusBadRequest, fault.response(&m))
		return
	}
	if err := b.serveModern(w, r, &request); err != nil {
		refuseModern(w, &m, err)
	}
}

// fault is an error that the bridge answers in the place of a server.
type fault struct {
	code int
	text string
	data json.RawMessage
}

func (f *fault) Error() string { return f.text }

func (f *fault) response(m *jsonrpc.Message) []byte {
	return jsonrpc.Failure(m.Bytes(m.ID), f.code, f.text, f.data)
}

// refuseModern answers a request that does not reach a server.
func refuseModern(w http.ResponseWriter, m *jsonrpc.Message, err error) {
	if f, ok := errors.AsType[*fault](err); ok {
		failure := f.response(m)
		writeFailure(w, modernStatus(failure), failure)
		return
	}
	_, failing := errors.AsType[*backoffError](err)
	if failing || errors.Is(err, ErrFull) || errors.Is(err, errDown) {
		refuse(w, m.Bytes(m.ID), err)
		return
	}
	writeFailure(w, http.StatusOK, jsonrpc.Failure(m.Bytes(m.ID), jsonrpc.CodeInternal, err.Error(), nil))
}

// modernStatus returns the HTTP status that goes with an answer (basic/index
// and basic/transports/streamable-http).
func modernStatus(answer []byte) int {
	m, err := jsonrpc.Parse(answer)
	if err != nil {
		return http.StatusOK
	}
	switch string(m.Bytes(m.Field(m.Error, "code"))) {
	case "-32601":
		return http.StatusNotFound
	case "-32020", "-32021", "-32022":
		return http.StatusBadRequest
	}
	return http.StatusOK
}

// checkModern checks what every modern request must say, and that its headers
// say the same.
func checkModern(h http.Header, m *modernRequest) *fault {
	if m.version == "" {
		return &fault{code: jsonrpc.CodeInvalidParams, text: "_meta lacks " + metaVersion}
	}
	if m.capabilities.Absent() || m.Bytes(m.capabilities)[0] != '{' {
		return &fault{code: jsonrpc.CodeInvalidParams, text: "_meta lacks " + metaCapabilities}
	}
	for _, pair := range []struct{ header, value string }{
		{versionHeader, m.version}, {methodHeader, m.Method}, {nameHeader, nameOf(m)},
	} {
		if pair.value == "" {
			continue
		}
		got, ok := decodeHeader(h.Get(pair.header))
		if !ok || got != pair.value {
			return &fault{
				code: codeHeaderMismatch,
				text: fmt.Sprintf("Header mismatch: %s is %q and the body says %q", pair.header, h.Get(pair.header), pair.value),
			}
		}
	}
	return nil
}

// nameOf returns what the Mcp-Name header must repeat; empty if there need be
// none.
func nameOf(m *modernRequest) string {
	switch m.Method {
	case "tools/call", "prompts/get":
		return m.Text(m.Field(m.Params, "name"))
	case "resources/read":
		return m.Text(m.Field(m.Params, "uri"))
	}
	return ""
}

// decodeHeader undoes the encoding of values that are not plain ASCII.
func decodeHeader(value string) (string, bool) {
	encoded, ok := strings.CutPrefix(value, "=?base64?")
	if !ok || !strings.HasSuffix(encoded, "?=") {
		return value, !strings.ContainsFunc(value, func(r rune) bool { return r != '\t' && (r < ' ' || r > '~') })
	}
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSuffix(encoded, "?="))
	return string(raw), err == nil
}

// checkVersion checks that the server speaks the revision of a request.
func checkVersion(m *modernRequest, supported []string) error {
	if slices.Contains(supported, m.version) {
		return nil
	}
	return &fault{
		code: codeUnsupportedVersion, text: "Unsupported protocol version",
		data: jsonrpc.Encode(struct {
			Supported []string `json:"supported"`
			Requested string   `json:"requested"`
		}{supported, m.version}),
	}
}

// serveModern serves a request of a modern client.
func (b *Bridge) serveModern(w http.ResponseWriter, r *http.Request, m *modernRequest) error {
	l, err := b.lane(r.Context())
	if err != nil {
		return err
	}
	if err := checkVersion(m, l.versions); err != nil {
		return err
	}
	if l.legacy {
		return b.translate(w, r, l, m)
	}
	return b.carry(w, r, l, m, nil)
}

// carry takes a request to the shared server and writes what comes back.
// Adapt, if set, changes the answer.
func (b *Bridge) carry(w http.ResponseWriter, r *http.Request, l *lane, m *modernRequest, adapt func(jsonrpc.Message) jsonrpc.Message) error {
	c, err := l.open(m, adapt)
	if err != nil {
		return err
	}
	if err := l.send(r.Context(), c, m); err != nil {
		l.session.log.Debug("Cannot reach the server", "err", err)
	}
	out := b.newResponder(w)
	out.status = modernStatus
	if !out.serve(r.Context(), c.stream, c.reader) {
		// Of a modern client, this is how it cancels (basic/patterns/cancellation).
		l.cancel(c)
	}
	l.session.discard(c.stream)
	return nil
}
