package bridge_test

import (
	"runtime"
	"testing"

	"github.com/drengskapur/fastmcp-runner/internal/bridge"
)

// A request may be large and its answer may take long: then only a little of
// the request is still needed. Not parallel: it measures the whole process.
func TestARequestInFlightDoesNotHoldItsBody(t *testing.T) {
	const requests = 10
	for _, tt := range []struct{ name, server, capabilities string }{
		{"of a session", "puppet", ""},
		{"to a modern server", "modern", `{}`},
		{"to a server that may not ask back", "puppet", `{}`},
		{"to a server that may ask back", "puppet", `{"elicitation":{}}`},
	} {
		h := open(t, func(opts *bridge.Options) { opts.Command = command(tt.server) })
		legacy := h.begin(t, "2025-11-25")
		before := heap()
		_, giveUp := h.fill(t, requests, func(id string) (client, string) {
			if tt.capabilities == "" {
				return legacy, call(id, "say", `{"padding":"$PADDING"}`)
			}
			return h.stateless(t).askAs(tt.capabilities, id, "tools/call", "", `,"name":"t","arguments":{"padding":"$PADDING"}`)
		})
		// The server has to read them first.
		eventually(t, "nothing holds the requests "+tt.name, func() bool { return heap()-before < requests*len(padding())/2 })
		giveUp()
	}
}

// heap returns how many bytes are reachable.
func heap() int {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int(stats.HeapAlloc)
}
