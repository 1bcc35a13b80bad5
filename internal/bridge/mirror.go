package bridge

import (
	"bytes"
	"context"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"sync"

	"github.com/drengskapur/fastmcp-runner/internal/bridge/jsonrpc"
)

const (
	// mirrorPrefix begins the headers that repeat arguments of a tool.
	mirrorPrefix = "Mcp-Param-"
	// mirrorKey marks such arguments in the schema of a tool.
	mirrorKey = "x-mcp-header"
	// maxMirrorDepth bounds how deep in a schema such arguments are looked for.
	maxMirrorDepth = 16
	// maxMirrors bounds how many of them a tool may have: as many as Apache
	// takes headers of a request (LimitRequestFields).
	maxMirrors = 100
)

// mirrors are the arguments of tools that clients repeat in headers, for those
// between us to read (2026-07-28, basic/transports/streamable-http, Custom
// Headers from Tool Parameters). Whoever acts on the body must refuse a request
// whose headers say something else, which here is the bridge: the server never
// sees them.
//
// Only the schemas tell which arguments those are. The bridge asks the server
// for them before the first call, and then learns from every list that passes,
// which are those that its clients go by. Of a tool that it has not seen it
// checks nothing; one whose marks are wrong no client may call, so that it
// checks nothing either.
type mirrors struct {
	// asking is held while the server is asked.
	asking sync.Mutex
	asked  bool

	mu    sync.Mutex
	tools map[string][]mirror // by name: those that have any
}

// mirror is an argument that is repeated.
type mirror struct {
	header string
	// path are the names that lead to it.
	path []string
}

// learn takes note of the schemas in an answer to tools/list.
func (ms *mirrors) learn(answer *jsonrpc.Message) {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	if len(ms.tools) == 0 && !bytes.Contains(answer.Raw, []byte(mirrorKey)) {
		return
	}
	for _, tool := range answer.Elements(answer.Field(answer.Result, "tools")) {
		ms.note(answer.Text(answer.Field(tool, "name")), answer.Bytes(answer.Field(tool, "inputSchema")))
	}
}

// note takes note of the schema of a tool. The lock is held.
func (ms *mirrors) note(tool string, schema []byte) {
	found, ok := mirrorsIn(schema)
	if !ok || len(found) == 0 {
		delete(ms.tools, tool)
		return
	}
	if ms.tools == nil {
		ms.tools = map[string][]mirror{}
	}
	if len(ms.tools) < maxTools {
		ms.tools[tool] = found
	}
}

// of returns the mirrors of a tool.
func (ms *mirrors) of(tool string) []mirror {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	return ms.tools[tool]
}

// mirrorsIn returns the mirrors in a schema; ok is false if one of them is
// marked in a way that the specification forbids, or if there are too many.
func mirrorsIn(schema []byte) (found []mirror, ok bool) {
	m := jsonrpc.Message{Raw: schema}
	ok = len(schema) > 0 && collectMirrors(&m, jsonrpc.Span{End: len(schema)}, nil, &found)
	names := map[string]bool{}
	for _, mirror := range found {
		ok = ok && !names[mirror.header]
		names[mirror.header] = true
	}
	return found, ok
}

// collectMirrors walks through the properties of a schema, and through nothing
// else.
func collectMirrors(m *jsonrpc.Message, schema jsonrpc.Span, path []string, found *[]mirror) bool {
	if len(path) > maxMirrorDepth {
		return true
	}
	for name, property := range m.Members(m.Field(schema, "properties")) {
		here := append(slices.Clip(path), name)
		if mark := m.Field(property, mirrorKey); !mark.Absent() {
			if !fieldName.MatchString(m.Text(mark)) || !isPrimitive(m.Text(m.Field(property, "type"))) || len(*found) == maxMirrors {
				return false
			}
			*found = append(*found, mirror{header: http.CanonicalHeaderKey(mirrorPrefix + m.Text(mark)), path: here})
		}
		if !collectMirrors(m, property, here, found) {
			return false
		}
	}
	return true
}

// fieldName is what the name of a header may be: 1*tchar (RFC 9110, 5.6.2).
var fieldName = regexp.MustCompile("^[0-9A-Za-z!#$%&'*+.^_`|~-]+$")

func isPrimitive(kind string) bool {
	return kind == "string" || kind == "integer" || kind == "boolean"
}

// checkMirrors refuses a call whose headers do not repeat its arguments.
func (l *lane) checkMirrors(ctx context.Context, h http.Header, m *modernRequest) error {
	if m.Method != "tools/call" {
		return nil
	}
	l.askForMirrors(ctx)
	for _, mirror := range l.mirrors.of(m.name) {
		if err := mirror.check(h, m); err != nil {
			return err
		}
	}
	return nil
}

// askForMirrors asks the server for its tools, once. A server that does not
// answer is not asked again, so that no call waits for it in vain.
func (l *lane) askForMirrors(ctx context.Context) {
	ms := &l.mirrors
	ms.asking.Lock()
	defer ms.asking.Unlock()
	if ms.asked {
		return
	}
	ms.asked = true
	// Not with the time of this client: others wait for it as well.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), probeTime)
	defer cancel()
	meta := modernMeta
	if l.legacy {
		meta = "{}"
	}
	tools, err := l.session.listTools(ctx, meta)
	if err != nil {
		l.session.log.Debug("Cannot learn which arguments are repeated in headers", "err", err)
	}
	ms.mu.Lock()
	defer ms.mu.Unlock()
	for _, tool := range tools {
		ms.note(tool.Name, tool.InputSchema)
	}
}

// observe returns what learns from an answer that passes as it is; nil if
// there is nothing to learn from it.
func (l *lane) observe(method string) func(jsonrpc.Message) jsonrpc.Message {
	if method != "tools/list" {
		return nil
	}
	return func(m jsonrpc.Message) jsonrpc.Message {
		l.mirrors.learn(&m)
		return m
	}
}

// check refuses a call whose header does not say what its argument does. An
// argument that is not there, or that cannot stand in a header, has none.
func (mi mirror) check(h http.Header, m *modernRequest) error {
	at, err := mi.find(m)
	if err != nil {
		return &fault{code: codeHeaderMismatch, text: "Header mismatch: " + err.Error()}
	}
	value := m.Bytes(at)
	switch {
	case len(value) == 0 || bytes.IndexByte([]byte("n{["), value[0]) >= 0: // null, an object, an array
		if len(h.Values(mi.header)) == 0 {
			return nil
		}
		return checkHeader(h, mi.header, "", func(string) (string, bool) { return "", false })
	case value[0] == '"':
		return checkHeader(h, mi.header, m.Text(at), decodeHeader)
	}
	number := string(value)
	return checkHeader(h, mi.header, number, func(header string) (string, bool) { return number, sameNumber(header, number) })
}

// find returns where the argument is in the call; absent if it is not there.
func (mi mirror) find(m *modernRequest) (jsonrpc.Span, error) {
	at := m.arguments
	for _, name := range mi.path {
		var err error
		if at, err = m.Find(at, name); err != nil {
			return jsonrpc.Span{}, err
		}
	}
	return at, nil
}

// sameNumber says whether a header and a value, which may be a boolean too,
// are the same. As numbers they are compared as long as that is exact.
func sameNumber(header, value string) bool {
	if header == value {
		return true
	}
	a, errA := strconv.ParseFloat(header, 64)
	b, errB := strconv.ParseFloat(value, 64)
	const exact = 1 << 53
	return decimal.MatchString(header) && errA == nil && errB == nil && a == b && -exact < a && a < exact
}

// decimal is what a number in a header looks like.
var decimal = regexp.MustCompile(`^-?[0-9]+(\.[0-9]+)?$`)
