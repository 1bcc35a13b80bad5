package bridge_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drengskapur/fastmcp-runner/internal/bridge"
)

const (
	note     = `{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"n"}}`
	progress = `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"t1","progress":1}}`
	question = `{"jsonrpc":"2.0","id":"q1","method":"elicitation/create","params":{}}`
)

func result(id string) string { return `{"jsonrpc":"2.0","id":` + id + `,"result":{}}` }

func TestAnAnswerAloneIsJSON(t *testing.T) {
	t.Parallel()
	c := open(t, nil).begin(t, "2025-11-25")
	for _, tt := range []struct{ name, id, params string }{
		{"a small one", `1`, `{}`},
		{"ids and numbers above 2^53", `9007199254740993`, `{"n":9007199254740993,"f":1.10}`},
		{"unknown members and their order", `"é\u00e9"`, `{"zeta":[ 1 , 2],"alpha":{"":null}}`},
		{"12 MB", `2`, `{"x":"` + strings.Repeat("é", 6<<20) + `"}`},
	} {
		got := c.wants(http.StatusOK, call(tt.id, "echo", tt.params))
		if want := `{"jsonrpc":"2.0","id":` + tt.id + `,"result":` + tt.params + `}`; got.body != want {
			t.Errorf("%s: %d bytes %.200s, want %d bytes %.200s", tt.name, len(got.body), got.body, len(want), want)
		}
		if media := got.header.Get("Content-Type"); media != "application/json" {
			t.Errorf("%s: Content-Type %s", tt.name, media)
		}
	}
}

func TestNoiseOnStandardOutputIsSkipped(t *testing.T) {
	t.Parallel()
	h := open(t, nil)
	got := h.begin(t, "2025-06-18").wants(http.StatusOK, say("1", "Server is ready", `{"level":"info"}`, "", result("1")))
	if got.body != result("1") {
		t.Errorf("got %s", got.body)
	}
	if !strings.Contains(h.log.String(), "Server is ready") {
		t.Error("the noise is not in the log")
	}
}

func TestTheFirstEventPrimesTheClient(t *testing.T) {
	t.Parallel()
	h := open(t, nil)
	for version, want := range map[string][]sse{
		"2025-11-25": {{ID: "p2.0", Retry: "1000"}, {ID: "p2.1", Event: "message", Data: note}, {ID: "p2.2", Event: "message", Data: result("1")}},
		"2025-06-18": {{ID: "p2.1", Event: "message", Data: note}, {ID: "p2.2", Event: "message", Data: result("1")}},
	} {
		stream := h.begin(t, version).stream(http.MethodPost, say("1", note, result("1")))
		var got []sse
		for e, ok := stream.next(); ok; e, ok = stream.next() {
			got = append(got, e)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: -want +got\n%s", version, diff)
		}
	}
}

func TestEveryMessageGoesToOneStream(t *testing.T) {
	t.Parallel()
	c := open(t, nil).begin(t, "2025-06-18")
	get := c.stream(http.MethodGet, "")
	older := c.stream(http.MethodPost, `{"jsonrpc":"2.0","id":"old","method":"say","params":{"_meta":{"progressToken":"t1"},"lines":["`+strings.ReplaceAll(note, `"`, `\"`)+`"]}}`)
	older.wants(note)
	newer := c.stream(http.MethodPost, say("2", note))
	newer.wants(note)

	// Everything below is caused by one request, which is itself the newest.
	c.wants(http.StatusOK, say("3", progress, result(`"old"`), result("2"), result("3")))
	older.wants(progress, result(`"old"`))
	older.wantsEnd()
	newer.wants(result("2"))
	newer.wantsEnd()

	// Nothing is in flight: the rest goes to the standing stream.
	c.wants(http.StatusOK, say("4", result("4"), question, progress))
	get.wants(question, progress)
}

func TestWhatNobodyReadsWaits(t *testing.T) {
	t.Parallel()
	c := open(t, nil).begin(t, "2025-06-18")
	c.wants(http.StatusOK, say("1", result("1"), note, question))
	first := c.stream(http.MethodPost, say("2", result("2")))
	first.wants(note, question, result("2"))
	first.wantsEnd()
	c.wants(http.StatusOK, say("3", result("3"), question))
	c.stream(http.MethodGet, "").wants(question)
}

func TestTheNewestStandingStreamIsServed(t *testing.T) {
	t.Parallel()
	c := open(t, nil).begin(t, "2025-11-25")
	first := c.stream(http.MethodGet, "")
	second := c.stream(http.MethodGet, "")
	first.wants("")
	second.wants("")
	c.wants(http.StatusOK, say("1", result("1"), note))
	second.wants(note)
	second.cut()
	got := make(chan sse, 1)
	go func() { e, _ := first.next(); got <- e }()
	eventually(t, "the first stream is served again", func() bool {
		c.wants(http.StatusOK, say("2", result("2"), question))
		select {
		case e := <-got:
			return e.Data == question
		default:
			return false
		}
	})
}

func TestTheClientsAnswersReachTheServer(t *testing.T) {
	t.Parallel()
	h := open(t, nil)
	c := h.begin(t, "2025-06-18")
	stream := c.stream(http.MethodPost, say("1", question))
	stream.wants(question)
	c.wants(http.StatusAccepted, `{"jsonrpc":"2.0","id":"q1","result":{"action":"accept"}}`)
	eventually(t, "the server gets the answer", func() bool {
		return strings.Contains(h.log.String(), `got {\"jsonrpc\":\"2.0\",\"id\":\"q1\",\"result\":{\"action\":\"accept\"}}`)
	})
}

func TestACancelledRequestIsOver(t *testing.T) {
	t.Parallel()
	c := open(t, nil).begin(t, "2025-11-25")
	stream := c.stream(http.MethodPost, say("5", note))
	stream.wants("", note)
	c.wants(http.StatusAccepted, `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":5}}`)
	stream.wantsEnd()
	// The id is free again, and a late answer disturbs nobody.
	if got := c.wants(http.StatusOK, say("6", result("5"), result("6"))); got.body != result("6") {
		t.Errorf("got %s", got.body)
	}
	c.wants(http.StatusOK, call("5", "echo", "{}"))
}

func TestTheProgressOfACancelledRequestIsForNobody(t *testing.T) {
	t.Parallel()
	c := open(t, nil).begin(t, "2025-11-25")
	ask := func(id string, lines ...string) *events {
		t.Helper()
		params, err := json.Marshal(map[string]any{"_meta": map[string]string{"progressToken": "t"}, "lines": lines})
		if err != nil {
			t.Fatal(err)
		}
		return c.stream(http.MethodPost, call(id, "say", string(params)))
	}
	const progress = `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"t","progress":1}}`
	stream := ask("5", progress)
	stream.wants("", progress)
	c.wants(http.StatusAccepted, `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":5}}`)
	stream.wantsEnd()
	if got := c.wants(http.StatusOK, say("6", progress, result("6"))); got.body != result("6") {
		t.Errorf("another request gets %s", got.body)
	}
	// The token may be given out again.
	ask("7", progress, result("7")).wants("", progress, result("7"))
}

func TestAnIDInFlightIsRefused(t *testing.T) {
	t.Parallel()
	c := open(t, nil).begin(t, "2025-11-25")
	stream := c.stream(http.MethodPost, say("5", note))
	stream.wants("", note)
	got := c.wants(http.StatusBadRequest, call("5.0", "echo", "{}"))
	if want := `{"jsonrpc":"2.0","id":5.0,"error":{"code":-32600,"message":"a request with the same id is in flight"}}`; got.body != want {
		t.Errorf("got %s, want %s", got.body, want)
	}
	c.wants(http.StatusOK, say("6", result("5"), result("6")))
	stream.wants(result("5"))
}

func TestBatches(t *testing.T) {
	t.Parallel()
	h := open(t, nil)
	batch := `[` + call("1", "echo", `{"a":1}`) + `,{"jsonrpc":"2.0","method":"x"},` + call("2", "echo", `{"b":2}`) + `]`
	h.begin(t, "2025-06-18").wants(http.StatusBadRequest, batch)
	c := h.begin(t, "2025-03-26")
	stream := c.stream(http.MethodPost, batch)
	stream.wants(`{"jsonrpc":"2.0","id":1,"result":{"a":1}}`, `{"jsonrpc":"2.0","id":2,"result":{"b":2}}`)
	stream.wantsEnd()
	c.wants(http.StatusAccepted, `[{"jsonrpc":"2.0","method":"x"},{"jsonrpc":"2.0","id":1,"result":{}}]`)
	c.wants(http.StatusBadRequest, `[`+call("1", "echo", `{}`)+`,`+call("1", "echo", `{}`)+`]`)
	c.wants(http.StatusBadRequest, `[`+strings.Replace(hello, "VERSION", "2025-03-26", 1)+`]`)
	c.wants(http.StatusBadRequest, `[]`)
	if got := c.wants(http.StatusOK, `[`+call("1", "echo", `{}`)+`]`); got.body != result("1") {
		t.Errorf("a batch of one: %s", got.body)
	}
}

func TestStatuses(t *testing.T) {
	t.Parallel()
	h := open(t, func(opts *bridge.Options) { opts.MaxBody = 1000 })
	c := h.begin(t, "2025-11-25")
	ping := call("1", "echo", "{}")
	for _, tt := range []struct {
		name   string
		got    response
		status int
	}{
		{"a request", c.post(ping), 200},
		{"without a session", c.with("Mcp-Session-Id", "").post(ping), 400},
		{"with an unknown session", c.with("Mcp-Session-Id", "x").post(ping), 404},
		{"listening without a session", c.with("Mcp-Session-Id", "").send("GET", ""), 400},
		{"listening with an unknown session", c.with("Mcp-Session-Id", "x").send("GET", ""), 404},
		{"ending an unknown session", c.with("Mcp-Session-Id", "x").send("DELETE", ""), 404},
		{"another method", c.send("PUT", ping), 405},
		{"accepting no stream", c.with("Accept", "application/json").post(ping), 406},
		{"accepting anything", c.with("Accept", "*/*;q=0.1").post(ping), 200},
		{"listening without accepting a stream", c.with("Accept", "application/json").send("GET", ""), 406},
		{"a body that is too large", c.post(call("1", "echo", `"`+strings.Repeat("x", 1000)+`"`)), 413},
		{"another media type", c.with("Content-Type", "text/plain").post(ping), 415},
		{"JSON with a charset", c.with("Content-Type", "application/json; charset=utf-8").post(ping), 200},
		{"no JSON", c.post("{"), 400},
		{"no message", c.post("{}"), 400},
		{"an unknown revision", c.with("Mcp-Protocol-Version", "1999-01-01").post(ping), 400},
		{"another known revision", c.with("Mcp-Protocol-Version", "2025-06-18").post(ping), 200},
		{"no revision", c.with("Mcp-Protocol-Version", "").post(ping), 200},
		{"beginning twice", c.post(strings.Replace(hello, "VERSION", "2025-11-25", 1)), 400},
		{"an event that never was", c.with("Last-Event-ID", "p9.1").send("GET", ""), 400},
		{"no event id", c.with("Last-Event-ID", "x").send("GET", ""), 400},
		{"ending the session", c.send("DELETE", ""), 200},
		{"after its end", c.post(ping), 404},
		{"another path", client{t, h.url + "/other", c.headers}.post(ping), 404},
	} {
		if tt.got.status != tt.status {
			t.Errorf("%s: status %d, want %d: %s", tt.name, tt.got.status, tt.status, tt.got.body)
		}
	}
}

func TestAServerMayRefuseToBegin(t *testing.T) {
	t.Parallel()
	h := open(t, nil)
	got := h.client(t).wants(http.StatusOK, strings.NewReplacer("VERSION", "2025-11-25", `"test"`, `"unwelcome"`).Replace(hello))
	if want := `{"jsonrpc":"2.0","id":0,"error":{"code":-32000,"message":"go away"}}`; got.body != want || got.header.Get("Mcp-Session-Id") != "" {
		t.Errorf("got %+v", got)
	}
	eventually(t, "the session is over", func() bool { return h.Health().Sessions == 0 })
}

func TestASlowServerKeepsTheConnectionAlive(t *testing.T) {
	t.Parallel()
	h := open(t, func(opts *bridge.Options) { opts.KeepAlive = 10 * time.Millisecond })
	resp := h.begin(t, "2025-11-25").do(http.MethodPost, say("1"))
	defer resp.Body.Close()
	buf := make([]byte, 100)
	for got := ""; !strings.Contains(got, ": keep-alive\n\n: keep-alive\n\n"); got += string(buf) {
		n, err := resp.Body.Read(buf[:cap(buf)])
		if err != nil {
			t.Fatal(err)
		}
		buf = buf[:n]
	}
}
