package bridge_test

import (
	"net/http"
	"strings"
	"testing"
)

// A legacy server may offer more tools to a client that it can ask back, so
// that it has to know the client when it lists them.
func TestWhoCanBeAskedGetsListsOfAServerThatKnowsIt(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		capabilities string
		servers      int
	}{
		{`{}`, 1},
		{`{"elicitation":{}}`, 2},
	} {
		h := open(t, nil)
		c, body := h.stateless(t).askAs(tt.capabilities, "1", "tools/list", "", "")
		c.wants(http.StatusOK, body)
		if got := h.Health().Sessions; got != tt.servers {
			t.Errorf("a client that is able to do %s makes %d servers, want %d", tt.capabilities, got, tt.servers)
		}
	}
}

func TestAServerAsksNothingWhenItLists(t *testing.T) {
	t.Parallel()
	h := open(t, nil)
	c, body := h.stateless(t).askAs(`{"elicitation":{}}`, "1", "prompts/list", "", lines(question, done))
	if got := c.wants(http.StatusOK, body); !strings.Contains(got.body, `"resultType":"complete"`) {
		t.Errorf("got %s", got.body)
	}
	eventually(t, "the server is told that nobody can be asked", func() bool {
		return strings.Contains(h.log.String(), `got {\"jsonrpc\":\"2.0\",\"id\":\"q1\",\"error\":{\"code\":-32601,`)
	})
}
