package bridge_test

import (
	"context"
	"fmt"
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

func TestASharedServerMayHave256QuestionsOpen(t *testing.T) {
	t.Parallel()
	h := open(t, func(opts *bridge.Options) { opts.Shared = true })
	c := h.begin(t, "2025-11-25")
	ask := func(id int) string { return fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"roots/list"}`, id) }
	var questions []string
	for id := range 257 {
		questions = append(questions, ask(id))
	}
	stream := c.stream(http.MethodPost, say("1", questions...))
	stream.wants(append([]string{""}, questions[:256]...)...)
	heard := func(what string) {
		t.Helper()
		eventually(t, "the server hears "+what, func() bool { return strings.Contains(h.log.String(), "got "+what) })
	}
	heard(`{\"jsonrpc\":\"2.0\",\"id\":256,\"error\":{\"code\":-32601,`)
	c.wants(http.StatusAccepted, result("0"))
	heard(`{\"jsonrpc\":\"2.0\",\"id\":0,\"result\"`)
	again := c.stream(http.MethodPost, say("2", ask(300), result("1")))
	again.wants("", ask(300))
}

func TestSharingSessionsHaveALimit(t *testing.T) {
	t.Parallel()
	h := open(t, func(opts *bridge.Options) { opts.Shared, opts.Sessions = true, 2 })
	first, second := h.begin(t, "2025-11-25"), h.begin(t, "2025-11-25")
	got := h.client(t).wants(http.StatusServiceUnavailable, strings.Replace(hello, "VERSION", "2025-11-25", 1))
	if !strings.Contains(got.body, bridge.ErrFull.Error()) || got.header.Get("Retry-After") == "" {
		t.Errorf("got %+v", got)
	}
	pid := first.pid()
	first.send(http.MethodDelete, "")
	if third := h.begin(t, "2025-11-25"); third.pid() != pid || second.pid() != pid {
		t.Error("the server did not stay")
	}
}

// The first client says hello for all that share the server.
func TestTheFirstClientOfASharedServerMayGoAtOnce(t *testing.T) {
	t.Parallel()
	for range 5 { // since a client that has gone is noticed half of the time only
		h := open(t, func(opts *bridge.Options) { opts.Shared, opts.SSE = true, bridge.SSEOn })
		in, out := h.connect(t)
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		first := strings.Replace(hello, "VERSION", "2025-11-25", 1)
		h.hand(gone, h.client(t), first)
		out.wants(http.StatusAccepted, first)
		if got := in.data(); !strings.Contains(got, "puppet") {
			t.Errorf("initialize: %s", got)
		}
	}
}

func TestARequestThatASharedServerDoesNotGetIsForgotten(t *testing.T) {
	t.Parallel()
	h := open(t, func(opts *bridge.Options) { opts.Shared = true })
	a, b := h.begin(t, "2025-11-25"), h.begin(t, "2025-11-25")
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for unsent := 0; unsent < 3; {
		h.hand(gone, a, say("1"))
		if h.Stats().InFlight == 0 {
			unsent++
			continue
		}
		a.wants(http.StatusAccepted, `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`)
	}
	// Nobody but b has a request in flight, so that the question is for b.
	b.stream(http.MethodPost, say("1", question)).wants("", question)
}
