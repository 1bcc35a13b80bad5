package bridge_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/drengskapur/fastmcp-runner/internal/bridge"
)

func TestAStreamResumesAfterTheLastEvent(t *testing.T) {
	t.Parallel()
	c := open(t, nil).begin(t, "2025-11-25")
	broken := c.stream(http.MethodPost, say("1", note))
	broken.wants("", note)
	other := c.stream(http.MethodPost, say("2", question))
	other.wants("", question)
	broken.cut()
	// The request is not cancelled; what comes now is for both.
	c.wants(http.StatusOK, say("3", result("1"), result("2"), result("3")))
	other.wants(result("2"))

	resumed := c.with("Last-Event-ID", "p2.1").stream(http.MethodGet, "")
	resumed.wants("", result("1"))
	resumed.wantsEnd()
	again := c.with("Last-Event-ID", "p2.0").stream(http.MethodGet, "")
	again.wants("", note, result("1"))
	again.wantsEnd()
}

func TestTheLaterConnectionTakesAStreamOver(t *testing.T) {
	t.Parallel()
	c := open(t, nil).begin(t, "2025-06-18")
	dead := c.stream(http.MethodPost, say("1", note))
	dead.wants(note)
	alive := c.with("Last-Event-ID", "p2.1").stream(http.MethodGet, "")
	dead.wantsEnd()
	c.wants(http.StatusOK, say("2", result("1"), result("2")))
	alive.wants(result("1"))
	alive.wantsEnd()
}

func TestAStandingStreamResumes(t *testing.T) {
	t.Parallel()
	c := open(t, nil).begin(t, "2025-06-18")
	broken := c.stream(http.MethodGet, "")
	c.wants(http.StatusOK, say("1", result("1"), note))
	first, _ := broken.next()
	broken.cut()
	eventually(t, "a message waits, because nobody listens", func() bool {
		return c.wants(http.StatusOK, say("2", result("2"), question)).header.Get("Content-Type") == "application/json"
	})
	resumed := c.with("Last-Event-ID", first.ID).stream(http.MethodGet, "")
	resumed.wants(question)
	// After a restart of the bridge the stream is unknown, and begins anew.
	c.with("Last-Event-ID", "g77.5").stream(http.MethodGet, "")
}

func TestWhatIsKeptIsBounded(t *testing.T) {
	t.Parallel()
	h := open(t, func(opts *bridge.Options) { opts.KeepBytes = 1000 })
	c := h.begin(t, "2025-06-18")
	stream := c.stream(http.MethodPost, sayTimes("1", 100, note))
	for range 100 {
		stream.wants(note)
	}
	stream.cut()
	c.wants(http.StatusOK, say("2", result("1"), result("2")))
	resumed := c.with("Last-Event-ID", "p2.0").stream(http.MethodGet, "")
	n := 0
	for e, ok := resumed.next(); ok; e, ok = resumed.next() {
		n++
		if e.ID == "p2.101" && e.Data != result("1") {
			t.Errorf("the last event is %+v", e)
		}
	}
	if n == 0 || n*len(note) > 1000+len(note) {
		t.Errorf("%d events were kept", n)
	}
}

// A client that reads nothing makes its server wait, and holds no more memory
// than is agreed; nothing is lost.
func TestASlowReaderHoldsTheServerNotTheMemory(t *testing.T) {
	t.Parallel()
	h := open(t, nil)
	c := h.begin(t, "2025-06-18")
	const times = 400
	line := fmt.Sprintf(`{"jsonrpc":"2.0","method":"m","params":%q}`, strings.Repeat("x", 100_000))
	stream := c.stream(http.MethodPost, sayTimes("1", times, line))
	for range times {
		stream.wants(line)
	}
}
