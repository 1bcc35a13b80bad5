package bridge_test

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

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
	c := open(t, nil).begin(t, "2025-06-18")
	pid := c.pid()
	const times = 600
	line := fmt.Sprintf(`{"jsonrpc":"2.0","method":"m","params":%q}`, strings.Repeat("x", 100_000))
	stream := c.stream(http.MethodPost, sayTimes("1", times, line))
	var last int
	for unchanged := 0; unchanged < 25; unchanged++ {
		if now := written(t, pid); now != last {
			last, unchanged = now, 0
		}
		time.Sleep(20 * time.Millisecond)
	}
	// What is agreed is 8 MiB; the rest is what sockets and pipes hold.
	if last < 8<<20 || last > 24<<20 {
		t.Errorf("the server has written %d bytes to a client that reads nothing", last)
	}
	for range times {
		stream.wants(line)
	}
}

// written returns how much a process has written.
func written(t *testing.T, pid int) int {
	t.Helper()
	io, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(io), "wchar: ")
	var n int
	if _, err := fmt.Sscan(rest, &n); err != nil {
		t.Fatal(err)
	}
	return n
}
