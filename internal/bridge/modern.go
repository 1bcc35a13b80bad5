package bridge

import (
	"bytes"
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
	from         principal
	version      string
	capabilities jsonrpc.Span
	client       jsonrpc.Span
	logLevel     string
	// name is what is called, got or read, if the request isNamed.
	name string
	// arguments are those of a tool.
	arguments jsonrpc.Span
}

// readModern reads what a request says of itself.
func readModern(m jsonrpc.Message) (modernRequest, error) {
	r := modernRequest{Message: m}
	var version, level, name jsonrpc.Span
	meta := m.Field(m.Params, "_meta") // which stands there once: see jsonrpc
	nameKey := "name"
	if m.Method == "resources/read" {
		nameKey = "uri"
	}
	for _, wanted := range []struct {
		in   jsonrpc.Span
		key  string
		into *jsonrpc.Span
	}{
		{meta, metaVersion, &version},
		{meta, metaCapabilities, &r.capabilities},
		{meta, metaClient, &r.client},
		{meta, metaLogLevel, &level},
		{m.Params, nameKey, &name},
		{m.Params, "arguments", &r.arguments},
	} {
		var err error
		if *wanted.into, err = m.Find(wanted.in, wanted.key); err != nil {
			return r, &fault{code: jsonrpc.CodeInvalidRequest, text: err.Error()}
		}
	}
	r.version, r.logLevel, r.name = m.Text(version), m.Text(level), m.Text(name)
	return r, nil
}

// isNamed says whether the request is one for something that has a name. Of
// those a server may ask back, too (basic/patterns/mrtr, Supported Requests).
func (m *modernRequest) isNamed() bool {
	return m.Method == "tools/call" || m.Method == "prompts/get" || m.Method == "resources/read"
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
	id := bytes.Clone(m.Bytes(m.ID)) // so that nothing here holds the whole request
	request, err := readModern(m)
	request.from = principalOf(r)
	if err == nil {
		err = checkModern(r.Header, &request)
	}
	if fault, ok := errors.AsType[*fault](err); ok {
		writeFailure(w, http.StatusBadRequest, fault.response(id))
		return
	}
	if err := b.serveModern(w, r, &request); err != nil {
		b.refuseModern(w, id, err)
	}
}

// fault is an error that the bridge answers in the place of a server.
type fault struct {
	code int
	text string
	data json.RawMessage
}

func (f *fault) Error() string { return f.text }

func (f *fault) response(id []byte) []byte {
	return jsonrpc.Failure(id, f.code, f.text, f.data)
}

// refuseModern answers a request that does not reach a server.
func (b *Bridge) refuseModern(w http.ResponseWriter, id []byte, err error) {
	if f, ok := errors.AsType[*fault](err); ok {
		failure := f.response(id)
		writeFailure(w, modernStatus(failure), failure)
		return
	}
	_, failing := errors.AsType[*backoffError](err)
	if failing || errors.Is(err, ErrFull) || errors.Is(err, errDown) || errors.Is(err, errLaneBusy) {
		b.refuse(w, id, err)
		return
	}
	writeFailure(w, http.StatusOK, jsonrpc.Failure(id, jsonrpc.CodeInternal, err.Error(), nil))
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
func checkModern(h http.Header, m *modernRequest) error {
	if m.version == "" {
		return &fault{code: jsonrpc.CodeInvalidParams, text: "_meta lacks " + metaVersion}
	}
	if m.capabilities.Absent() || m.Bytes(m.capabilities)[0] != '{' {
		return &fault{code: jsonrpc.CodeInvalidParams, text: "_meta lacks " + metaCapabilities}
	}
	if err := checkHeader(h, versionHeader, m.version, plainHeader); err != nil {
		return err
	}
	if err := checkHeader(h, methodHeader, m.Method, plainHeader); err != nil {
		return err
	}
	if !m.isNamed() || m.name == "" && h.Get(nameHeader) == "" {
		return nil
	}
	return checkHeader(h, nameHeader, m.name, decodeHeader)
}

// checkHeader checks that a header says what the body does. One that stands
// there twice does not: others may read the other one.
func checkHeader(h http.Header, name, want string, decode func(string) (string, bool)) error {
	values := h.Values(name)
	if len(values) == 1 {
		if got, ok := decode(values[0]); ok && got == want {
			return nil
		}
	}
	return &fault{
		code: codeHeaderMismatch,
		text: fmt.Sprintf("Header mismatch: %s is %q and the body says %q", name, strings.Join(values, ", "), want),
	}
}

// plainHeader is a value that is never encoded.
func plainHeader(value string) (string, bool) { return value, true }

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
	l, leave, err := b.lane(r.Context(), m)
	if err != nil {
		return err
	}
	defer leave()
	if err := checkVersion(m, l.versions); err != nil {
		return err
	}
	if err := l.checkMirrors(r.Context(), r.Header, m); err != nil {
		return err
	}
	if l.legacy && m.isExchange() {
		leave() // the exchange may need its place
		return b.exchange(w, r, l, m)
	}
	if l.legacy {
		return b.translate(w, r, l, m)
	}
	return b.carry(w, r, l, m, l.observe(m.Method))
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
