package bridge_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/drengskapur/fastmcp-runner/internal/bridge"
)

// Limits of what may be underway at once. At a limit all works, above it there
// is an error that says so, and then all goes on.

// padding is what stands for $PADDING: 1 MiB, which the requests share.
var padding = sync.OnceValue(func() string { return strings.Repeat("x", 1<<20) })

// hand gives the bridge a request without a connection. The context is that of
// the client.
func (h house) hand(ctx context.Context, c client, body string) {
	c.t.Helper()
	head, tail, padded := strings.Cut(body, "$PADDING")
	parts := []io.Reader{strings.NewReader(head)}
	if padded {
		parts = append(parts, strings.NewReader(padding()), strings.NewReader(tail))
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, io.MultiReader(parts...))
	if err != nil {
		c.t.Error(err)
	}
	r.Header = c.headers
	h.ServeHTTP(&reply{header: http.Header{}}, r)
}

// fill makes so many requests that are not answered, and returns what gives up
// one of them, and what gives up all.
func (h house) fill(t *testing.T, n int, request func(id string) (client, string)) (giveUpOne, giveUp func()) {
	t.Helper()
	one, giveUpOne := context.WithCancel(t.Context())
	others, giveUpOthers := context.WithCancel(t.Context())
	var waiting sync.WaitGroup
	for i := range n {
		ctx := others
		if i == 0 {
			ctx = one
		}
		waiting.Go(func() {
			c, body := request(strconv.Itoa(i))
			h.hand(ctx, c, body)
		})
	}
	t.Cleanup(func() { giveUpOne(); giveUpOthers(); waiting.Wait() })
	eventually(t, fmt.Sprintf("%d requests are in flight", n), func() bool { return h.Stats().InFlight == n })
	return giveUpOne, func() {
		giveUpOne()
		giveUpOthers()
		waiting.Wait()
	}
}

func TestModernClientsMayHave4096RequestsInFlight(t *testing.T) {
	t.Parallel()
	h := open(t, modern)
	giveUpOne, giveUp := h.fill(t, 4096, func(string) (client, string) {
		return h.stateless(t).ask("1", "say", "", lines())
	})
	c, body := h.stateless(t).ask("2", "say", "", lines(done))
	got := c.wants(http.StatusServiceUnavailable, body)
	const want = `{"jsonrpc":"2.0","id":2,"error":{"code":-32603,"message":"more than 4096 requests are in flight"}}`
	if got.body != want || got.header.Get("Retry-After") != "1" {
		t.Errorf("one more: %+v", got)
	}
	if n := h.Stats().Refused["full"]; n != 1 {
		t.Errorf("%d are counted as refused", n)
	}
	giveUpOne()
	eventually(t, "there is room for one", func() bool { return h.Stats().InFlight == 4095 })
	c.wants(http.StatusOK, body)
	giveUp()
	eventually(t, "nothing is in flight", func() bool { return h.Stats().InFlight == 0 })
	c.wants(http.StatusOK, body)
}

func TestASessionMayHave256RequestsInFlight(t *testing.T) {
	t.Parallel()
	for _, shared := range []bool{false, true} {
		h := open(t, func(opts *bridge.Options) { opts.Shared = shared })
		c, other := h.begin(t, "2025-11-25"), h.begin(t, "2025-11-25")
		h.fill(t, 256, func(id string) (client, string) { return c, say(id) })
		got := c.wants(http.StatusBadRequest, say("1000", result("1000")))
		if want := `{"jsonrpc":"2.0","id":1000,"error":{"code":-32600,"message":"more than 256 requests are in flight"}}`; got.body != want {
			t.Errorf("one more: %s", got.body)
		}
		other.wants(http.StatusOK, say("1000", done)) // which is another session's
		c.wants(http.StatusAccepted, `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}}`)
		c.wants(http.StatusOK, say("1000", done))
	}
}

// A server that asks and asks, and reads nothing until it has done so.
func TestSixtyFourAnswersWaitForAServerToReadThem(t *testing.T) {
	t.Parallel()
	for _, shared := range []bool{false, true} {
		h := open(t, func(opts *bridge.Options) { opts.Shared = shared })
		send := func(method, params string) response {
			c, body := h.stateless(t).ask("1", method, "", params)
			return c.wants(http.StatusOK, body)
		}
		if shared { // by two, so that no question is for either
			c := h.begin(t, "2025-11-25")
			h.begin(t, "2025-11-25").stream(http.MethodPost, say("1", note)).next()
			send = func(method, params string) response {
				return c.wants(http.StatusOK, call("1", method, "{"+strings.TrimPrefix(params, ",")+"}"))
			}
		}
		number := func(method string) int {
			var got struct{ Result struct{ PID, Heard int } }
			if err := json.Unmarshal([]byte(send(method, "").body), &got); err != nil {
				t.Fatal(err)
			}
			return got.Result.PID + got.Result.Heard
		}
		pid := number("pid")
		// Not even one answer has room in the pipe.
		large := `{"jsonrpc":"2.0","id":"` + strings.Repeat("x", 64<<10) + `","method":"roots/list"}`
		goOn := filepath.Join(t.TempDir(), "go on")
		send("say", lines(append(slices.Repeat([]string{large}, 70), done, "$AWAIT "+goOn)...))
		if err := os.WriteFile(goOn, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the server hears 64 answers", func() bool { return number("heard") >= 64 })
		send("say", lines(question, done))
		eventually(t, "the server hears one more", func() bool { return number("heard") >= 65 })
		if heard := number("heard"); heard != 65 || number("pid") != pid {
			t.Errorf("shared %t: the server heard %d answers", shared, heard)
		}
	}
}
