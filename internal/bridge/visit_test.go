package bridge_test

import (
	"net/http"
	"strings"
	"testing"
)

func TestAURLToVisitIsAQuestion(t *testing.T) {
	t.Parallel()
	const (
		visit = `{"mode":"url","url":"https://a.example/","message":"log in","elicitationId":"e"}`
		fault = `{"jsonrpc":"2.0","id":$ID,"error":{"code":-32042,"message":"not yet","data":{"elicitations":[` + visit + `]}}}`
	)
	h := open(t, nil)
	for _, tt := range []struct{ capabilities, want, not string }{
		{
			`{"elicitation":{"url":{}}}`,
			`"resultType":"input_required","inputRequests":{"question-1":{"method":"elicitation/create","params":` + visit + `}}`, `requestState`,
		},
		{`{"roots":{}}`, `"error":{"code":-32603,"message":"not yet"`, "-32042"},
		{`{}`, `"error":{"code":-32603,"message":"not yet"`, "-32042"},
	} {
		c, body := h.stateless(t).askAs(tt.capabilities, "1", "tools/call", "", lines(fault))
		got := c.wants(http.StatusOK, body)
		if !strings.Contains(got.body, tt.want) || strings.Contains(got.body, tt.not) {
			t.Errorf("a client that is able to do %s: %s", tt.capabilities, got.body)
		}
	}
	// The client repeats its request with what the user has done, and no state.
	c, body := h.stateless(t).askAs(`{"elicitation":{"url":{}}}`, "2", "tools/call", "", lines(done)+`,"inputResponses":{"question-1":{"action":"accept"}}`)
	if got := c.wants(http.StatusOK, body); !strings.Contains(got.body, `"id":2,"result":{`) {
		t.Errorf("after the visit: %s", got.body)
	}
}
