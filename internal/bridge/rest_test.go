package bridge_test

import (
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/drengskapur/fastmcp-runner/internal/bridge"
)

// Not parallel: it measures what the whole process holds.
func TestLittleStaysOfTwoHundredSessions(t *testing.T) {
	const crowd = 200
	h := open(t, func(opts *bridge.Options) { opts.Command, opts.Sessions = command("echo"), crowd })
	h.begin(t, "2025-11-25").send(http.MethodDelete, "")
	rest(t, h)
	memory, threads := held(), count(t, "/proc/self/task")
	clients := make([]client, crowd)
	var all sync.WaitGroup
	for i := range clients {
		all.Go(func() {
			clients[i] = h.begin(t, "2025-11-25")
			for range 5 {
				clients[i].send(http.MethodPost, call("1", "echo", `{"x":"`+strings.Repeat("x", 20_000)+`"}`))
			}
		})
	}
	all.Wait()
	for _, c := range clients {
		c.send(http.MethodDelete, "")
	}
	rest(t, h)
	// An idle runner has about 12 MiB, of which a third is the heap: the rest
	// is the program. What stays of the crowd may be half of it.
	if got := held() - memory; got > 6<<20 {
		t.Errorf("%d bytes of memory stay, want at most 6 MiB", got)
	}
	// The runtime has some threads at hand that are no session's.
	if got := count(t, "/proc/self/task"); got > threads+crowd/10 {
		t.Errorf("%d threads stay, want about the %d of before", got, threads)
	}
}

// rest waits until the sessions are over and has the memory given back.
func rest(t *testing.T, h house) {
	t.Helper()
	settle(t, h)
	if !bridge.Rest(h.Bridge) {
		t.Fatal("the bridge is not about to give its memory back")
	}
}

// held returns how much memory the runtime has of the system.
func held() int64 {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.Sys - stats.HeapReleased)
}
