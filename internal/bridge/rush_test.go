package bridge_test

import (
	"context"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/drengskapur/fastmcp-runner/internal/bridge"
)

// rushed opens a bridge before a server that takes CPU to start, and ends if
// too many start at once.
func rushed(t *testing.T, change func(*bridge.Options)) house {
	t.Helper()
	limit := 2 * runtime.GOMAXPROCS(0)
	return open(t, func(opts *bridge.Options) {
		opts.Command, opts.Sessions = command("busy", t.TempDir(), strconv.Itoa(limit)), 150
		opts.KeepAlive = 20 * time.Millisecond
		change(opts)
	})
}

// Not parallel: it takes all of the CPUs. A hundred clients of three
// kinds come at once, as after a restart.
func TestARushIsServed(t *testing.T) {
	key := func(opts *bridge.Options) { opts.SessionKey = []byte("a key of the operator") }
	old := rushed(t, key)
	ids := make([]string, 20)
	for i := range ids {
		ids[i] = old.begin(t, "2025-11-25").headers.Get("Mcp-Session-Id")
	}
	old.Shutdown(context.Background())
	h := rushed(t, func(opts *bridge.Options) {
		key(opts)
		opts.SSE, opts.Start = bridge.SSEOn, 4*time.Second
	})
	begin := strings.Replace(hello, "VERSION", "2025-11-25", 1)
	var all sync.WaitGroup
	for range 60 {
		all.Go(func() {
			if got := h.client(t).post(begin); got.status != http.StatusOK || !strings.Contains(got.body, `"result"`) {
				t.Errorf("initialize: %+v", got)
			}
		})
	}
	for range 20 {
		all.Go(func() {
			in, out := h.connect(t)
			out.wants(http.StatusAccepted, begin)
			if got := in.data(); !strings.Contains(got, `"result"`) {
				t.Errorf("HTTP+SSE: %s", got)
			}
		})
	}
	for _, id := range ids {
		all.Go(func() {
			got := h.client(t).with("Mcp-Session-Id", id).post(call("1", "echo", "{}"))
			if got.status != http.StatusOK || !strings.Contains(got.body, `"result"`) {
				t.Errorf("a session of an earlier start: %+v", got)
			}
		})
	}
	all.Wait()
	if got := h.Stats(); got.Starts != 100 || got.Crashes != 0 {
		t.Errorf("%d starts and %d crashes, want 100 and 0", got.Starts, got.Crashes)
	}
}

func TestAClientThatWaitsForItsServerGetsComments(t *testing.T) {
	t.Parallel()
	h := open(t, func(opts *bridge.Options) {
		opts.Command, opts.KeepAlive, opts.SSE = command("mute"), 10*time.Millisecond, bridge.SSEOn
		opts.Sessions = 1000
	})
	begin := strings.Replace(hello, "VERSION", "2025-11-25", 1)
	places := 2 * runtime.GOMAXPROCS(0)
	for range places {
		h.client(t).stream(http.MethodPost, begin)
	}
	waiting := h.client(t).stream(http.MethodPost, begin)
	sse := client{t, h.url + "/sse", http.Header{}}.stream(http.MethodGet, "")
	for _, stream := range []*events{waiting, sse} {
		if line, err := stream.in.ReadString('\n'); err != nil || line != ": keep-alive\n" {
			t.Errorf("%q, %v, want a comment", line, err)
		}
	}
	if got := h.Stats(); got.Starts != uint64(places) {
		t.Errorf("%d servers were started, want %d", got.Starts, places)
	}
	waiting.cut()
	sse.cut()
	eventually(t, "those that have gone wait no more", func() bool { return h.Health().Sessions == places })
	if got := h.Stats(); got.Starts != uint64(places) {
		t.Errorf("%d servers were started, want %d", got.Starts, places)
	}
}

func TestWhoWouldWaitTooLongForItsServerIsTold(t *testing.T) {
	t.Parallel()
	h := open(t, func(opts *bridge.Options) { opts.SSE = bridge.SSEOn })
	bridge.Slow(h.Bridge, time.Hour)
	begin := strings.Replace(hello, "VERSION", "2025-11-25", 1)
	for what, got := range map[string]response{
		"initialize": h.client(t).post(begin),
		"HTTP+SSE":   client{t, h.url + "/sse", http.Header{}}.send(http.MethodGet, ""),
	} {
		const want = `too many servers wait to be started: this one would be ready in 1h0m0s, and may wait for 2m0s`
		if got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") != "600" || !strings.Contains(got.body, want) {
			t.Errorf("%s: %+v, want 503, Retry-After and %q", what, got, want)
		}
	}
	if got := h.Stats(); got.Starts != 0 || got.Sessions != 0 || got.Refused["queue"] != 2 {
		t.Errorf("%d starts, %d sessions, %d refused; want 0, 0 and 2", got.Starts, got.Sessions, got.Refused["queue"])
	}
	if _, err := h.Probe(t.Context()); err != nil {
		t.Errorf("the runner's own start: %v", err)
	}
}
