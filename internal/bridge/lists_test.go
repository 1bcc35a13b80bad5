package bridge_test

import (
	"net/http"
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
