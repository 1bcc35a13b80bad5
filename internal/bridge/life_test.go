package bridge_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/drengskapur/fastmcp-runner/internal/bridge"
)

func TestACrashAnswersAllThatIsOpen(t *testing.T) {
	t.Parallel()
	h := open(t, nil)
	c := h.begin(t, "2025-11-25")
	standing := c.stream(http.MethodGet, "")
	standing.wants("")
	open := c.stream(http.MethodPost, say("1", note))
	open.wants("", note)
	const why = `"error":{"code":-32603,"message":"the server ended with exit code 7; its last words: dying as told"}}`
	if got := c.wants(http.StatusOK, call("2", "die", "{}")); got.body != `{"jsonrpc":"2.0","id":2,`+why {
		t.Errorf("got %s", got.body)
	}
	open.wants(`{"jsonrpc":"2.0","id":1,` + why)
	open.wantsEnd()
	standing.wantsEnd()
	c.wants(http.StatusNotFound, call("3", "echo", "{}"))
	if health := h.Health(); health.Failing || health.Sessions != 0 {
		t.Errorf("health: %+v", health)
	}
}

func TestALineWithoutEndFailsTheCallsThatAreOpen(t *testing.T) {
	t.Parallel()
	h := open(t, func(opts *bridge.Options) { opts.MaxLine = 100_000 })
	c := h.begin(t, "2025-11-25")
	const why = `"error":{"code":-32603,"message":"the answer of the server is lost: a line of more than 100000 bytes"}}`
	for _, id := range []string{"1", "2"} { // they share a line, and each makes it too long
		if got := c.wants(http.StatusOK, call(id, "ramble", `{"bytes":150000}`)); got.body != `{"jsonrpc":"2.0","id":`+id+`,`+why {
			t.Errorf("got %s", got.body)
		}
	}
	c.wants(http.StatusAccepted, `{"jsonrpc":"2.0","method":"breathe"}`)
	if got := c.wants(http.StatusOK, call("3", "echo", `{"well":1}`)); got.body != `{"jsonrpc":"2.0","id":3,"result":{"well":1}}` {
		t.Errorf("after the line: %s", got.body)
	}
	if n := strings.Count(h.log.String(), "The server wrote a message that is too long"); n != 1 {
		t.Errorf("the log says it %d times", n)
	}
}

func TestAServerThatDoesNotStartIsAnError(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		change func(*bridge.Options)
		want   string
	}{
		{
			"it ends", func(opts *bridge.Options) { opts.Command = command("fail") },
			`the server ended with exit code 1; its last words: cannot find the database`,
		},
		{
			"it says nothing", func(opts *bridge.Options) { opts.Command, opts.Start = command("mute"), time.Second },
			`the server did not answer initialize within 1s; its last words: waiting for the database`,
		},
		{
			"there is none", func(opts *bridge.Options) { opts.Command.Path = "/no/server" },
			`cannot start \"/no/server\": no such file or directory`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := open(t, tt.change)
			got := h.client(t).wants(http.StatusOK, strings.Replace(hello, "VERSION", "2025-11-25", 1))
			if want := `{"jsonrpc":"2.0","id":0,"error":{"code":-32603,"message":"` + tt.want + `"}}`; got.body != want {
				t.Errorf("got %s, want %s", got.body, want)
			}
			eventually(t, "the session is over", func() bool { return h.Health().Sessions == 0 })
		})
	}
}

func TestACrashLoopBacksOff(t *testing.T) {
	t.Parallel()
	h := open(t, func(opts *bridge.Options) { opts.Command = command("fail") })
	c := h.client(t)
	for range 3 {
		c.wants(http.StatusOK, strings.Replace(hello, "VERSION", "2025-11-25", 1))
	}
	got := c.wants(http.StatusServiceUnavailable, strings.Replace(hello, "VERSION", "2025-11-25", 1))
	if got.header.Get("Retry-After") != "1" || !strings.Contains(got.body, "cannot find the database") {
		t.Errorf("got %+v", got)
	}
	if health := h.Health(); !health.Failing || health.Err == nil {
		t.Errorf("health: %+v", health)
	}
}

func TestSessionsHaveALimit(t *testing.T) {
	t.Parallel()
	h := open(t, func(opts *bridge.Options) { opts.Sessions = 2 })
	h.begin(t, "2025-11-25")
	last := h.begin(t, "2025-11-25")
	got := h.client(t).wants(http.StatusServiceUnavailable, strings.Replace(hello, "VERSION", "2025-11-25", 1))
	if got.header.Get("Retry-After") == "" {
		t.Errorf("got %+v", got)
	}
	last.send(http.MethodDelete, "")
	h.begin(t, "2025-11-25")
}

func TestAnIdleSessionEndsAlthoughAStreamIsOpen(t *testing.T) {
	t.Parallel()
	h := open(t, func(opts *bridge.Options) { opts.Idle = 300 * time.Millisecond })
	c := h.begin(t, "2025-11-25")
	pid := c.pid()
	standing := c.stream(http.MethodGet, "")
	standing.wants("")
	standing.wantsEnd()
	c.wants(http.StatusNotFound, call("1", "echo", "{}"))
	eventually(t, "the server is gone", func() bool { return !lives(pid) })
}

func TestWaitingForAnAnswerIsNotIdle(t *testing.T) {
	t.Parallel()
	h := open(t, func(opts *bridge.Options) { opts.Idle = time.Second })
	c := h.begin(t, "2025-11-25")
	stream := c.stream(http.MethodPost, say("1", note))
	stream.wants("", note)
	time.Sleep(2500 * time.Millisecond) // that nothing happens takes time
	c.wants(http.StatusOK, say("2", result("1"), result("2")))
	stream.wants(result("1"))
}

func TestIdlenessBeginsWithTheEndOfARequest(t *testing.T) {
	t.Parallel()
	h := open(t, func(opts *bridge.Options) { opts.Idle = 4 * time.Second })
	c := h.begin(t, "2025-11-25")
	stream := c.stream(http.MethodPost, say("1", note))
	stream.wants("", note)
	time.Sleep(5 * time.Second) // that nothing happens takes time
	stream.cut()
	time.Sleep(time.Second)
	c.wants(http.StatusOK, call("2", "echo", "{}"))
}

func TestSignedSessionsSurviveARestart(t *testing.T) {
	t.Parallel()
	signed := func(opts *bridge.Options) { opts.SessionKey = []byte("a key of the operator") }
	old := open(t, signed)
	c := old.begin(t, "2025-11-25")
	id := c.headers.Get("Mcp-Session-Id")
	deleted := old.begin(t, "2025-11-25")
	deleted.send(http.MethodDelete, "")
	deleted.wants(http.StatusNotFound, call("1", "echo", "{}"))
	old.Shutdown(context.Background())

	h := open(t, signed)
	c.url = h.url + "/mcp"
	var requests sync.WaitGroup
	for range 10 {
		requests.Go(func() {
			// A client of its own each: the ids are free in another session only.
			if got := c.send(http.MethodPost, `{"jsonrpc":"2.0","method":"x"}`); got.status != http.StatusAccepted {
				t.Errorf("an old session: %+v", got)
			}
		})
	}
	requests.Wait()
	if got := c.wants(http.StatusOK, call("1", "echo", `{"a":1}`)); got.body != `{"jsonrpc":"2.0","id":1,"result":{"a":1}}` {
		t.Errorf("got %s", got.body)
	}
	if n := h.Health().Sessions; n != 1 {
		t.Errorf("%d sessions came back", n)
	}
	for i := range id {
		flipped := []byte(id)
		flipped[i] ^= 1
		if got := c.with("Mcp-Session-Id", string(flipped)).post(call("1", "echo", `{}`)); got.status != http.StatusNotFound && got.status != http.StatusBadRequest {
			t.Fatalf("an id with byte %d changed: %+v", i, got)
		}
	}
	c.wants(http.StatusOK, call("2", "echo", `{}`))
	unsigned := open(t, func(opts *bridge.Options) { opts.SessionKey = []byte("another key") })
	c.url = unsigned.url + "/mcp"
	c.wants(http.StatusNotFound, call("1", "echo", `{}`))
}

func TestACrashedSignedSessionStaysGone(t *testing.T) {
	t.Parallel()
	h := open(t, func(opts *bridge.Options) { opts.SessionKey = []byte("key") })
	c := h.begin(t, "2025-11-25")
	c.wants(http.StatusOK, call("1", "die", "{}"))
	c.wants(http.StatusNotFound, call("2", "echo", "{}"))
}

func TestShutdownEndsEverything(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, server string
		grace, limit time.Duration
	}{
		{"servers that end", "puppet", time.Minute, 20 * time.Second},
		{"servers that do not", "deaf", 300 * time.Millisecond, 20 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := open(t, func(opts *bridge.Options) { opts.Command, opts.Grace = command(tt.server), tt.grace })
			c := h.begin(t, "2025-11-25")
			pid := c.pid()
			standing := c.stream(http.MethodGet, "")
			standing.wants("")
			waiting := c.stream(http.MethodPost, say("1", note))
			waiting.wants("", note)
			ctx, cancel := context.WithTimeoutCause(context.Background(), tt.limit, errors.New("it takes too long"))
			defer cancel()
			h.Shutdown(ctx)
			if ctx.Err() != nil {
				t.Error(context.Cause(ctx))
			}
			if lives(pid) {
				t.Error("a server is left")
			}
			if e, ok := standing.next(); ok || e.Retry != "1000" {
				t.Errorf("the standing stream ends by %+v", e)
			}
			if got := waiting.data(); !strings.Contains(got, `"error"`) {
				t.Errorf("the request is answered by %s", got)
			}
			h.client(t).wants(http.StatusServiceUnavailable, strings.Replace(hello, "VERSION", "2025-11-25", 1))
		})
	}
}
