package bridge_test

import (
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/drengskapur/fastmcp-runner/internal/bridge"
)

func TestWhatABridgeDoesIsCounted(t *testing.T) {
	t.Parallel()
	h := open(t, nil)
	c := h.begin(t, "2025-11-25")
	c.wants(http.StatusOK, call("1", "tools/list", "{}"))
	c.wants(http.StatusOK, call("2", "tools/list", "{}"))
	c.wants(http.StatusOK, call("3", "echo", "{}"))
	c.wants(http.StatusOK, call("4", "missing", "{}"))
	waiting := c.stream(http.MethodPost, say("5", note))
	waiting.wants("", note)
	if got := h.Stats(); got.InFlight != 1 || got.Sessions != 1 || got.Children != 1 {
		t.Errorf("in the midst: %+v", got)
	}
	c.wants(http.StatusAccepted, `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":5}}`)
	waiting.wantsEnd()
	c.post(call("6", "die", "{}"))
	eventually(t, "the child is gone", func() bool { return h.Stats().Children == 0 })

	with := func(counts map[string]uint64) map[string]uint64 {
		all := map[string]uint64{"success": 0, "error": 0, "failure": 0, "cancelled": 0}
		maps.Copy(all, counts)
		return all
	}
	want := bridge.Stats{
		Opened: 1, Starts: 1, Crashes: 1,
		Calls: []bridge.CallStats{
			{Method: "tools/list", Outcomes: with(map[string]uint64{"success": 2})},
			{Method: "initialize", Outcomes: with(map[string]uint64{"success": 1})},
			{Method: "other", Outcomes: with(map[string]uint64{"success": 1, "error": 1, "failure": 1, "cancelled": 1})},
		},
		Refused: map[string]uint64{"origin": 0, "token": 0, "full": 0, "failing": 0, "queue": 0, "body": 0},
	}
	got := h.Stats()
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(bridge.Stats{}, "Received", "Sent"), cmpopts.IgnoreFields(bridge.CallStats{}, "Took", "Within")); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if got.Received < 500 || got.Sent < 500 {
		t.Errorf("%d bytes were received and %d sent, want some hundred", got.Received, got.Sent)
	}
	for _, calls := range got.Calls {
		last := calls.Within[len(calls.Within)-1]
		if calls.Took <= 0 || last == 0 || len(calls.Within) != len(bridge.DurationBounds()) {
			t.Errorf("%s: took %s, within %d", calls.Method, calls.Took, calls.Within)
		}
	}
}

func TestDurationsAreCountedByTheirBounds(t *testing.T) {
	t.Parallel()
	h := open(t, nil)
	c := h.begin(t, "2025-11-25")
	stream := c.stream(http.MethodPost, strings.Replace(say("1", note), `"say"`, `"tools/call"`, 1))
	stream.wants("", note)
	time.Sleep(60 * time.Millisecond)
	c.wants(http.StatusOK, say("2", result("1"), result("2")))
	stream.wants(result("1"))
	for _, calls := range h.Stats().Calls {
		if calls.Method != "tools/call" {
			continue
		}
		// 50 ms is the sixth bound.
		if calls.Took < 60*time.Millisecond || calls.Within[5] != 0 || calls.Within[len(calls.Within)-1] != 1 {
			t.Errorf("took %s, within %d", calls.Took, calls.Within)
		}
		return
	}
	t.Error("the call was not counted")
}

func TestRefusalsAreCountedByTheirReason(t *testing.T) {
	t.Parallel()
	h := open(t, func(opts *bridge.Options) { opts.Token, opts.Sessions, opts.MaxBody = "sesame", 1, 1000 })
	stranger := h.client(t)
	begin := strings.Replace(hello, "VERSION", "2025-11-25", 1)
	stranger.wants(http.StatusUnauthorized, begin)
	c := stranger.with("Authorization", "Bearer sesame")
	c.with("Origin", "https://evil.example").wants(http.StatusForbidden, begin)
	c.with("Sec-Fetch-Site", "cross-site").wants(http.StatusForbidden, begin)
	c.wants(http.StatusRequestEntityTooLarge, call("1", "echo", `"`+strings.Repeat("x", 1000)+`"`))
	c.wants(http.StatusBadRequest, "{")
	c.wants(http.StatusOK, begin)
	c.wants(http.StatusServiceUnavailable, begin)
	if diff := cmp.Diff(map[string]uint64{"origin": 2, "token": 1, "full": 1, "failing": 0, "queue": 0, "body": 2}, h.Stats().Refused); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestACrashLoopIsCounted(t *testing.T) {
	t.Parallel()
	h := open(t, func(opts *bridge.Options) { opts.Command = command("fail") })
	c := h.client(t)
	begin := strings.Replace(hello, "VERSION", "2025-11-25", 1)
	eventually(t, "it is refused", func() bool { return c.post(begin).status == http.StatusServiceUnavailable })
	eventually(t, "all is counted", func() bool {
		got := h.Stats()
		return got.Failing && got.Refused["failing"] == 1 && got.Starts == 3 && got.Crashes == 3
	})
}

func TestCallsOfModernClientsAreCounted(t *testing.T) {
	t.Parallel()
	for _, server := range []string{"modern", "sdk"} {
		h := open(t, func(opts *bridge.Options) { opts.Command = command(server) })
		c := h.client(t).with("Mcp-Protocol-Version", "2026-07-28").with("Mcp-Method", "tools/list")
		c.wants(http.StatusOK, call("1", "tools/list", `{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/clientInfo":{"name":"x","version":"1"}}}`))
		got := h.Stats()
		// What the bridge asks itself, to find out what the server is, is no call.
		if len(got.Calls) != 1 || got.Calls[0].Method != "tools/list" || got.Calls[0].Outcomes["success"] != 1 {
			t.Errorf("%s: %+v", server, got.Calls)
		}
	}
}

func BenchmarkCounting(b *testing.B) {
	h := bridge.New(bridge.Options{})
	for b.Loop() {
		bridge.Count(h, "tools/call", 3*time.Millisecond)
	}
}
