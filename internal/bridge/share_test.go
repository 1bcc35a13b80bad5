package bridge_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/drengskapur/fastmcp-runner/internal/bridge"
)

func TestSessionsMayShareAServer(t *testing.T) {
	t.Parallel()
	h := open(t, func(opts *bridge.Options) { opts.Shared = true })
	a, b := h.begin(t, "2025-11-25"), h.begin(t, "2025-11-25")
	pid := a.pid()
	if other := b.pid(); pid != other {
		t.Fatalf("servers %d and %d", pid, other)
	}
	aGet, bGet := a.stream(http.MethodGet, ""), b.stream(http.MethodGet, "")
	aGet.wants("")
	bGet.wants("")

	// Both use the same id and the same token, at the same time.
	params := func(texts ...string) string { return `{"_meta":{"progressToken":"t"}` + lines(texts...) + `}` }
	aCall := a.stream(http.MethodPost, call("5", "say", params(tokenProgress)))
	const own = `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"t","progress":1}}`
	aCall.wants("", own)
	const changed = `{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}`
	bCall := b.stream(http.MethodPost, call("5", "say", params(tokenProgress, changed, note)))
	bCall.wants("", own, changed) // the log message could be for either, so that nobody gets it
	aCall.wants(changed)

	// A request of the server goes to the only client that has asked for something.
	b.wants(http.StatusAccepted, `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":5}}`)
	bCall.wantsEnd()
	heard := func(what string) {
		t.Helper()
		eventually(t, "the server hears "+what, func() bool { return strings.Contains(h.log.String(), what) })
	}
	heard(`heard {\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":`)
	again := a.stream(http.MethodPost, call("6", "say", params(question)))
	again.wants("", question)
	b.wants(http.StatusAccepted, `{"jsonrpc":"2.0","id":"q1","result":{"from":"a stranger"}}`)
	a.wants(http.StatusAccepted, `{"jsonrpc":"2.0","id":"q1","result":{"from":"its client"}}`)
	heard(`got {\"jsonrpc\":\"2.0\",\"id\":\"q1\",\"result\":{\"from\":\"its client\"}}`)
	if strings.Contains(h.log.String(), "a stranger") {
		t.Error("a client answers for another one")
	}

	// One may leave, and what it had in flight is given up.
	a.send(http.MethodDelete, "")
	if other := b.pid(); pid != other {
		t.Errorf("servers %d and %d", pid, other)
	}
	if got := b.wants(http.StatusOK, call("9", "die", "{}")); !strings.Contains(got.body, "dying as told") {
		t.Errorf("crash: %s", got.body)
	}
	b.wants(http.StatusNotFound, call("1", "echo", "{}"))
	c := h.begin(t, "2025-11-25")
	next := c.pid()
	c.send(http.MethodDelete, "")
	eventually(t, "the server ends with its last session", func() bool { return !lives(next) })
}
