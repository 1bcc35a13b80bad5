package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// visitor is a kind of client of a soak.
type visitor struct {
	name   string
	atOnce int
	visit  func(context.Context, *instance) error
}

func visitors() []visitor {
	return []visitor{
		{"callers", 4, visitToCall},
		{"crashes", 2, visitToCrash},
		{"leavers", 2, visitAndLeave},
		{"resumptions", 2, visitAndResume},
		{"slow readers", 1, visitAndReadSlowly},
		{"SSE clients", 2, visitBySSE},
		{"modern clients", 2, visitStateless},
		{"modern clients that are asked", 4, visitAndAnswer},
	}
}

// visitTime bounds a request of a visitor.
const visitTime = 30 * time.Second

// visitToCall calls many times and says goodbye.
func visitToCall(ctx context.Context, in *instance) error {
	s, err := in.open(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	for i := range 200 {
		id := strconv.Itoa(i)
		got, err := s.ask(ctx, call(id, "echo", `{"message":"`+id+`"}`))
		if err != nil {
			return err
		}
		if !strings.Contains(string(got), `"Echo: `+id+`"`) {
			return fmt.Errorf("call %s got %q", id, got)
		}
	}
	return s.end(ctx)
}

// end ends the session.
func (s *session) end(ctx context.Context) error {
	return s.wants(ctx, http.MethodDelete, "", http.StatusOK)
}

// wants sends a request that must be answered by a status.
func (s *session) wants(ctx context.Context, method, body string, status int) error {
	ctx, cancel := context.WithTimeout(ctx, visitTime)
	defer cancel()
	resp, err := s.send(ctx, method, body, "")
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	if resp.StatusCode != status {
		err = fmt.Errorf("%s: %s, want %d", method, resp.Status, status)
	}
	return errors.Join(err, resp.Body.Close())
}

// visitToCrash lets its server crash, which ends the session.
func visitToCrash(ctx context.Context, in *instance) error {
	s, err := in.open(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	got, err := s.ask(ctx, call("1", "crash", "{}"))
	if err != nil {
		return err
	}
	if !strings.Contains(string(got), "exit code 7; its last words: crashing as told") {
		return fmt.Errorf("a crash is answered by %q", got)
	}
	return s.wants(ctx, http.MethodPost, call("2", "echo", "{}"), http.StatusNotFound)
}

// visitAndLeave breaks its connections, one with a call in flight and one
// that listens, and comes back never.
func visitAndLeave(ctx context.Context, in *instance) error {
	s, err := in.open(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	ctx, cancel := context.WithCancel(ctx)
	listening, err := s.send(ctx, http.MethodGet, "", "")
	if err != nil {
		cancel()
		return err
	}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		resp, err := s.post(ctx, call("1", "silence", "{}"))
		if err == nil {
			_ = resp.Body.Close() // the connection is broken before it comes to that
		}
	}()
	time.Sleep(leaveTime)
	cancel()
	<-gone
	return listening.Body.Close()
}

// leaveTime is how long a visitor stays who leaves.
const leaveTime = 200 * time.Millisecond

// visitAndResume breaks a stream off and goes on with it.
func visitAndResume(ctx context.Context, in *instance) error {
	const times = 20
	s, err := in.open(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	resp, err := s.post(ctx, call("1", "talk", `{"message":"m","times":`+strconv.Itoa(times)+`}`))
	if err != nil {
		return err
	}
	last, err := readEvents(resp, 0, times/4)
	if err != nil {
		return err
	}
	resumed, err := s.send(ctx, http.MethodGet, "", last)
	if err != nil {
		return err
	}
	if _, err := readEvents(resumed, times/4, times); err != nil {
		return err
	}
	return s.end(ctx)
}

// readEvents reads log messages of a server that talks, which must be those
// of a range, closes the stream, and returns the id of the last event.
func readEvents(resp *http.Response, from, to int) (id string, err error) {
	defer resp.Body.Close()
	for lines := bufio.NewScanner(resp.Body); from < to && lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), ": ")
		switch name {
		case "id":
			id = value
		case "data":
			if want := fmt.Sprintf(`"m %d"`, from); !strings.Contains(value, want) {
				return "", fmt.Errorf("event %s is %q, want %s", id, value, want)
			}
			from++
		}
	}
	if from < to {
		return "", fmt.Errorf("the stream ends before event %d (%s)", from, resp.Status)
	}
	return id, nil
}

// visitAndReadSlowly asks for more than buffers hold, and takes its time.
func visitAndReadSlowly(ctx context.Context, in *instance) error {
	s, err := in.open(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	resp, err := s.post(ctx, call("1", "echo", `{"message":"x","times":12000000}`))
	if err != nil {
		return err
	}
	time.Sleep(leaveTime)
	n, err := io.Copy(io.Discard, resp.Body)
	if n < 12_000_000 {
		err = errors.Join(err, fmt.Errorf("the answer has %d bytes", n))
	}
	return errors.Join(err, resp.Body.Close(), s.end(ctx))
}

// visitBySSE calls over HTTP+SSE and breaks the connection.
func visitBySSE(ctx context.Context, in *instance) error {
	ctx, cancel := context.WithTimeout(ctx, visitTime)
	defer cancel()
	c, err := in.connect(ctx, "visitor")
	if err != nil {
		return err
	}
	for i := range sseCalls {
		if err := c.send(ctx, call(strconv.Itoa(i+1), "echo", `{"message":"visitor"}`)); err != nil {
			return err
		}
	}
	for i := range sseCalls {
		if data := c.data(); !strings.Contains(data, "Echo: visitor") {
			return fmt.Errorf("answer %d is %q", i, data)
		}
	}
	return c.resp.Body.Close()
}

// visitStateless calls in the manner of 2026-07-28.
func visitStateless(ctx context.Context, in *instance) error {
	got, err := in.stateless(ctx, "echo", `"arguments":{"message":"modern"}`)
	if err == nil && !strings.Contains(string(got), "Echo: modern") {
		err = fmt.Errorf("the answer is %q", got)
	}
	return err
}

// visitAndAnswer calls in the same manner, and is asked back.
func visitAndAnswer(ctx context.Context, in *instance) error {
	got, err := in.stateless(ctx, "ask", `"arguments":{}`)
	if err != nil {
		return err
	}
	var asked struct{ Result struct{ RequestState string } }
	if err := json.Unmarshal(got, &asked); err != nil {
		return fmt.Errorf("%q: %w", got, err)
	}
	if asked.Result.RequestState == "" {
		return fmt.Errorf("%q asks nothing", got)
	}
	got, err = in.stateless(ctx, "ask", `"arguments":{},"requestState":"`+asked.Result.RequestState+
		`","inputResponses":{"question-1":{"action":"accept","content":{"name":"Ada"}}}`)
	if err == nil && !strings.Contains(string(got), `"name":"Ada"`) {
		err = fmt.Errorf("the answer is %q", got)
	}
	return err
}

// stateless calls a tool in the manner of 2026-07-28, as a client that can be
// asked back only by the tool that does.
func (in *instance) stateless(ctx context.Context, tool, rest string) ([]byte, error) {
	able := "{}"
	if tool == "ask" {
		able = `{"elicitation":{}}`
	}
	body := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",` +
		`"io.modelcontextprotocol/clientCapabilities":` + able + `},"name":"` + tool + `",` + rest + `}}`
	ctx, cancel := context.WithTimeout(ctx, visitTime)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, fmt.Sprintf("http://%s/mcp", in.addr), strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	for name, value := range map[string]string{
		"Content-Type": "application/json", "Accept": "application/json, text/event-stream",
		"Mcp-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": tool,
	} {
		r.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return answer(resp)
}
