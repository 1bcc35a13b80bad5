package bridge_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// inputRequired is the answer to a request of which the server asks back.
type inputRequired struct {
	ID     json.RawMessage
	Result struct {
		ResultType    string
		InputRequests map[string]json.RawMessage
		RequestState  string
	}
}

func TestALegacyServerAsksBack(t *testing.T) {
	t.Parallel()
	h := open(t, nil)
	const able = `{"elicitation":{},"roots":{}}`
	ask := func(id, meta, rest string) string {
		t.Helper()
		c, body := h.stateless(t).askAs(able, id, "tools/call", meta, rest)
		stream := c.post(body)
		if stream.status != http.StatusOK {
			t.Fatalf("status %d: %s", stream.status, stream.body)
		}
		return stream.body
	}
	first := ask("1", `,"progressToken":"p1"`, lines(
		`{"jsonrpc":"2.0","id":"e","method":"elicitation/create","params":{"message":"who?"}}`,
		`{"jsonrpc":"2.0","id":8,"method":"roots/list"}`,
		`{"jsonrpc":"2.0","id":9,"method":"sampling/createMessage"}`, // which the client is not able to
	))
	var asked inputRequired
	if err := json.Unmarshal([]byte(first), &asked); err != nil {
		t.Fatal(err)
	}
	want := map[string]json.RawMessage{
		"question-1": json.RawMessage(`{"method":"elicitation/create","params":{"message":"who?"}}`),
		"question-2": json.RawMessage(`{"method":"roots/list","params":{}}`),
	}
	if diff := cmp.Diff(want, asked.Result.InputRequests); diff != "" || asked.Result.ResultType != "input_required" {
		t.Fatalf("%s: -want +got\n%s", first, diff)
	}
	state := asked.Result.RequestState

	again := ask("3", "", `,"name":"t","requestState":"`+state+`","inputResponses":{"question-2":{"roots":[]},"question-7":{}}`)
	if err := json.Unmarshal([]byte(again), &asked); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(again, "question-2") || !strings.Contains(again, "question-1") || asked.Result.RequestState == state {
		t.Fatalf("asked again: %s", again)
	}

	// Another client makes no difference to the one that is waited for.
	if got := ask("1", "", lines(done)); !strings.Contains(got, `"id":1,"result":{`) {
		t.Errorf("another client: %s", got)
	}
	for _, heard := range []string{
		`got {\"jsonrpc\":\"2.0\",\"id\":9,\"error\":{\"code\":-32601,`,
		`got {\"jsonrpc\":\"2.0\",\"id\":8,\"result\":{\"roots\":[]}}`,
	} {
		eventually(t, "the server hears "+heard, func() bool { return strings.Contains(h.log.String(), heard) })
	}
	if sessions := h.Health().Sessions; sessions != 3 { // the shared one, the one that waits, and a spare
		t.Errorf("%d servers", sessions)
	}
	if got := ask("5", "", lines(done)); !strings.Contains(got, `"id":5,"result":{`) || h.Health().Sessions != 3 {
		t.Errorf("the spare server is not used: %s, %+v", got, h.Health())
	}
}

// asks makes the server ask the client back, and returns the state that it
// gives the client.
func (h house) asks(t *testing.T, rest string) string {
	t.Helper()
	c, body := h.stateless(t).askAs(`{"elicitation":{}}`, "1", "tools/call", "", lines(question)+rest)
	var asked inputRequired
	if err := json.Unmarshal([]byte(c.wants(http.StatusOK, body).body), &asked); err != nil {
		t.Fatal(err)
	}
	if asked.Result.RequestState == "" {
		t.Fatal("there is no state")
	}
	return asked.Result.RequestState
}

// brings repeats a request with a state and an answer to the question.
func (h house) brings(t *testing.T, method, name, rest, state string) string {
	t.Helper()
	c, body := h.stateless(t).askAs(`{"elicitation":{}}`, "2", method, "", rest+`,"requestState":"`+state+`","inputResponses":{"question-1":{"action":"accept"}}`)
	return c.with("Mcp-Name", name).post(body).body
}

// answeredQuestion is what the puppet logs when it has got the answer.
const answeredQuestion = `\"result\":{\"action\":\"accept\"}`

func TestATamperedStateIsRefused(t *testing.T) {
	t.Parallel()
	h := open(t, nil)
	state := h.asks(t, "")
	changed := []byte(state)
	for i := range changed {
		changed[i] ^= 1
		if got := h.brings(t, "tools/call", "t", `,"name":"t"`, string(changed)); !strings.Contains(got, `"code":-32602,"message":"the requestState is not known`) {
			t.Errorf("with letter %d changed: %s", i, got)
		}
		changed[i] ^= 1
	}
	for _, other := range []string{"", "x", state[1:], state + "x", strings.ToLower(state), strings.Repeat("x", 1<<20)} {
		if got := h.brings(t, "tools/call", "t", `,"name":"t"`, other); !strings.Contains(got, `"code":-32602`) {
			t.Errorf("%.40s: %s", other, got)
		}
	}
	if strings.Contains(h.log.String(), answeredQuestion) {
		t.Error("the server got an answer")
	}
}

func TestTheStateOfAnotherRequestIsRefused(t *testing.T) {
	t.Parallel()
	h := open(t, nil)
	const arguments = `,"arguments":{"account":"mine","amount":1}`
	state := h.asks(t, arguments)
	other := h.asks(t, `,"arguments":{"account":"yours","amount":1}`)
	for _, tt := range []struct{ what, method, name, rest, state string }{
		{"another method", "prompts/get", "t", `,"name":"t"` + arguments, state},
		{"another tool", "tools/call", "u", `,"name":"u"` + arguments, state},
		{"another argument", "tools/call", "t", `,"name":"t","arguments":{"account":"mine","amount":1000000}`, state},
		{"one more argument", "tools/call", "t", `,"name":"t","arguments":{"account":"mine","amount":1,"now":true}`, state},
		{"no arguments", "tools/call", "t", `,"name":"t"`, state},
		{"the state of another call of the tool", "tools/call", "t", `,"name":"t"` + arguments, other},
	} {
		got := h.brings(t, tt.method, tt.name, tt.rest, tt.state)
		if !strings.Contains(got, `"code":-32602,"message":"the requestState is of another request: repeat that one with the same parameters"`) {
			t.Errorf("%s: %s", tt.what, got)
		}
	}
	if strings.Contains(h.log.String(), answeredQuestion) {
		t.Error("the server got an answer")
	}
	// Its own request it still belongs to, whatever stands around that.
	own := make(chan string, 1)
	go func() { own <- h.brings(t, "tools/call", "t", arguments+` , "name" : "t"`, state) }() // the server has no more to say
	eventually(t, "the server gets the answer", func() bool { return strings.Contains(h.log.String(), answeredQuestion) })
	h.Shutdown(t.Context())
	<-own
}

func TestTheStateOfAQuestionIsGoodOnce(t *testing.T) {
	t.Parallel()
	h := open(t, nil)
	state := h.asks(t, "")
	first := make(chan string, 1)
	go func() { first <- h.brings(t, "tools/call", "t", `,"name":"t"`, state) }() // the server has no more to say
	eventually(t, "the server gets the answer", func() bool { return strings.Contains(h.log.String(), answeredQuestion) })
	if got := h.brings(t, "tools/call", "t", `,"name":"t"`, state); !strings.Contains(got, `"code":-32602,"message":"the requestState is not known, too old, or was used before`) {
		t.Errorf("the state was good twice: %s", got)
	}
	h.Shutdown(t.Context())
	<-first
}

// A server need not wait for the answer to what it has asked: the official
// reference server asks for the roots beside its first calls.
func TestWhatAServerSaysWhileItsClientIsAwayIsNotLost(t *testing.T) {
	t.Parallel()
	h := open(t, nil)
	goOn := filepath.Join(t.TempDir(), "go on")
	ask := func(token, rest string) *events {
		t.Helper()
		const able, level = `{"elicitation":{}}`, `,"io.modelcontextprotocol/logLevel":"info"`
		c, body := h.stateless(t).askAs(able, "1", "tools/call", level+`,"progressToken":`+token, rest)
		return c.stream(http.MethodPost, body)
	}
	progress := func(token string) string { return strings.Replace(tokenProgress, "$TOKEN", token, 1) }
	first := ask("1", lines(tokenProgress, question, "$AWAIT "+goOn, tokenProgress, note, "noise", done))
	first.wants(progress("1"))
	var asked inputRequired
	if err := json.Unmarshal([]byte(first.data()), &asked); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(goOn, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the server has said all", func() bool { return strings.Contains(h.log.String(), "noise") })
	second := ask("2", `,"name":"t","requestState":"`+asked.Result.RequestState+`","inputResponses":{"question-1":{}}`)
	second.wants(progress("2"), note)
	if got := second.data(); !strings.Contains(got, `"id":1,"result":`) {
		t.Errorf("after the answer: %s", got)
	}
}

// lingerer is a connection whose handler is held up when all is written.
type lingerer struct {
	*httptest.ResponseRecorder
	written, goOn chan struct{}
}

func (l lingerer) Flush() {
	close(l.written)
	<-l.goOn
}

// A machine may be so busy that a client has come back, and was answered,
// before the handler of its question has returned.
func TestAServerHasOneExchangeAtATime(t *testing.T) {
	t.Parallel()
	h := open(t, nil)
	const able = `{"elicitation":{}}`
	gate := func() (path string, open func()) {
		path = filepath.Join(t.TempDir(), "go on")
		return path, func() {
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	asking, goOn := gate()
	c, body := h.stateless(t).askAs(able, "1", "tools/call", "", lines(question, "$AWAIT "+asking, done))
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, c.url, strings.NewReader(body))
	r.Header = c.headers.Clone()
	first := lingerer{httptest.NewRecorder(), make(chan struct{}), make(chan struct{})}
	returned := make(chan struct{})
	go func() { h.ServeHTTP(first, r); close(returned) }()
	<-first.written
	var asked inputRequired
	if err := json.Unmarshal(first.Body.Bytes(), &asked); err != nil {
		t.Fatal(err)
	}
	goOn()
	if got := h.brings(t, "tools/call", "t", `,"name":"t"`, asked.Result.RequestState); !strings.Contains(got, `"id":2,"result":`) {
		t.Fatalf("the second round: %s", got)
	}
	close(first.goOn)
	<-returned

	busy, goOn := gate()
	slow, waiting := h.stateless(t).askAs(able, "3", "tools/call", `,"progressToken":1`, lines(tokenProgress, "$AWAIT "+busy, done))
	stream := slow.stream(http.MethodPost, waiting)
	stream.wants(strings.Replace(tokenProgress, "$TOKEN", "1", 1))
	quick, body := h.stateless(t).askAs(able, "4", "tools/call", "", lines(done))
	if got := quick.wants(http.StatusOK, body).body; !strings.Contains(got, `"id":4,"result":`) {
		t.Errorf("beside a request that takes long: %s", got)
	}
	goOn()
	if got := stream.data(); !strings.Contains(got, `"id":3,"result":`) {
		t.Errorf("the request that takes long: %s", got)
	}
}
