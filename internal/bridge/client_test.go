package bridge_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/drengskapur/fastmcp-runner/internal/bridge"
	"github.com/drengskapur/fastmcp-runner/internal/bridge/child"
)

// house is a bridge that serves.
type house struct {
	*bridge.Bridge
	url string
	log *buffer
}

// buffer is a log that may be read while it is written.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func command(server ...string) child.Command {
	return child.Command{
		Path: "/proc/self/exe", Argv: append([]string{"server", "serve"}, server...),
		Env: append(os.Environ(), "GORACE=atexit_sleep_ms=0"),
	}
}

func open(t *testing.T, change func(*bridge.Options)) house {
	t.Helper()
	h := house{log: &buffer{}}
	opts := bridge.Options{
		Command: command("puppet"), Log: slog.New(slog.NewTextHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Grace: 10 * time.Second, KeepAlive: time.Minute,
	}
	if change != nil {
		change(&opts)
	}
	h.Bridge = bridge.New(opts)
	server := httptest.NewServer(h)
	h.url = server.URL
	t.Cleanup(func() {
		h.Shutdown(context.Background())
		server.Close()
		if t.Failed() {
			t.Log(h.log.String())
		}
	})
	return h
}

// client is a client that keeps to the protocol unless a test says otherwise.
type client struct {
	t       *testing.T
	url     string
	headers http.Header
}

func (h house) client(t *testing.T) client {
	t.Helper()
	return client{t, h.url + "/mcp", http.Header{
		"Accept": {"application/json, text/event-stream"}, "Content-Type": {"application/json"},
	}}
}

// with returns a client with a header changed; an empty value removes it.
func (c client) with(name, value string) client {
	c.headers = c.headers.Clone()
	c.headers.Del(name)
	if value != "" {
		c.headers.Set(name, value)
	}
	return c
}

const hello = `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"VERSION","capabilities":{},"clientInfo":{"name":"test","version":"1"}}}`

// begin opens a session of a revision and returns its client.
func (h house) begin(t *testing.T, version string) client {
	t.Helper()
	c := h.client(t)
	got := c.post(strings.Replace(hello, "VERSION", version, 1))
	id := got.header.Get("Mcp-Session-Id")
	if got.status != http.StatusOK || id == "" {
		t.Fatalf("initialize: %+v", got)
	}
	c = c.with("Mcp-Session-Id", id).with("Mcp-Protocol-Version", version)
	c.wants(http.StatusAccepted, `{"jsonrpc":"2.0","method":"notifications/initialized"}`)
	return c
}

// response is a whole response.
type response struct {
	status int
	header http.Header
	body   string
}

func (c client) do(method, body string) *http.Response {
	c.t.Helper()
	r, err := http.NewRequestWithContext(c.t.Context(), method, c.url, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	r.Header = c.headers.Clone()
	if host := r.Header.Get("Host"); host != "" {
		r.Host = host
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		c.t.Fatal(err)
	}
	return resp
}

func (c client) send(method, body string) response {
	c.t.Helper()
	resp := c.do(method, body)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return response{resp.StatusCode, resp.Header, string(text)}
}

func (c client) post(body string) response {
	c.t.Helper()
	return c.send(http.MethodPost, body)
}

// wants posts what must be answered by a status.
func (c client) wants(status int, body string) response {
	c.t.Helper()
	got := c.post(body)
	if got.status != status {
		c.t.Fatalf("POST %.200s: status %d, want %d: %s", body, got.status, status, got.body)
	}
	return got
}

// call returns a request; its parameters are a JSON text.
func call(id, method, params string) string {
	return `{"jsonrpc":"2.0","id":` + id + `,"method":"` + method + `","params":` + params + `}`
}

// say returns a request that makes the puppet write lines.
func say(id string, lines ...string) string {
	return sayTimes(id, 1, lines...)
}

func sayTimes(id string, times int, lines ...string) string {
	params, err := json.Marshal(map[string]any{"lines": lines, "repeat": times})
	if err != nil {
		panic(err)
	}
	return call(id, "say", string(params))
}

// events is a stream that is being read.
type events struct {
	t    *testing.T
	resp *http.Response
	in   *bufio.Reader
}

// sse is one event.
type sse struct{ ID, Event, Data, Retry string }

func (c client) stream(method, body string) *events {
	c.t.Helper()
	resp := c.do(method, body)
	c.t.Cleanup(func() { _ = resp.Body.Close() })
	if got := resp.Header.Get("Content-Type"); resp.StatusCode != http.StatusOK || got != "text/event-stream" {
		text, _ := io.ReadAll(resp.Body)
		c.t.Fatalf("%s %s: %d %s %s, want a stream", method, body, resp.StatusCode, got, text)
	}
	if resp.Header.Get("X-Accel-Buffering") != "no" {
		c.t.Error("the stream may be buffered by proxies")
	}
	return &events{c.t, resp, bufio.NewReader(resp.Body)}
}

// next returns the next event; ok is false at the end of the stream.
func (e *events) next() (event sse, ok bool) {
	e.t.Helper()
	for seen := false; ; {
		line, err := e.in.ReadString('\n')
		if errors.Is(err, io.EOF) {
			return event, false
		}
		if err != nil {
			e.t.Fatal(err)
		}
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		value = strings.TrimPrefix(value, " ")
		switch name {
		case "id":
			event.ID = value
		case "event":
			event.Event = value
		case "data":
			event.Data, seen = value, true
		case "retry":
			event.Retry = value
		case "":
			if line == "\n" && seen {
				return event, true
			}
		}
	}
}

// data returns the data of the next event.
func (e *events) data() string {
	e.t.Helper()
	event, ok := e.next()
	if !ok {
		e.t.Fatal("the stream has ended")
	}
	return event.Data
}

// wants reads events whose data must be these.
func (e *events) wants(data ...string) {
	e.t.Helper()
	for _, want := range data {
		if got := e.data(); got != want {
			e.t.Fatalf("event %.300s, want %.300s", got, want)
		}
	}
}

// wantsEnd reads the end of the stream.
func (e *events) wantsEnd() {
	e.t.Helper()
	if event, ok := e.next(); ok {
		e.t.Fatalf("event %+v, want the end of the stream", event)
	}
}

// cut breaks the connection.
func (e *events) cut() { _ = e.resp.Body.Close() }

// pid returns the process id of a session's server.
func (c client) pid() int {
	c.t.Helper()
	var answer struct{ Result struct{ PID int } }
	if err := json.Unmarshal([]byte(c.wants(http.StatusOK, call(`"pid"`, "pid", "{}")).body), &answer); err != nil {
		c.t.Fatal(err)
	}
	return answer.Result.PID
}

// eventually waits until something is true.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !is(); {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// lives says whether a process is there and no zombie.
func lives(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err == nil && !bytes.Contains(stat, []byte(") Z "))
}
