package front_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/drengskapur/fastmcp-runner/internal/front"
	"github.com/drengskapur/fastmcp-runner/internal/page"
)

// lobby opens a lobby and returns its address.
func lobby(t *testing.T, patience time.Duration) (l *front.Lobby, address string) {
	t.Helper()
	listener, err := front.Listen(t.Context(), "127.0.0.1", 0)
	if err != nil {
		t.Fatal(err)
	}
	return front.OpenLobby(listener, front.LobbyOptions{
		Site: front.Site{Path: "/mcp", SSEPath: "/sse", MessagesPath: "/messages", HealthPath: "/health"},
		State: func() page.State {
			return page.State{Status: page.Starting, Phase: page.Pulling, Read: 25, Total: 100}
		},
		Patience: patience, Log: slog.New(slog.DiscardHandler),
	}), listener.Addr().String()
}

func TestALobbyTellsHowTheStartGetsOn(t *testing.T) {
	t.Parallel()
	l, address := lobby(t, time.Millisecond)
	url := "http://" + address
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		if got := ask(t, method, url+"/", nil); got.status != http.StatusOK {
			t.Errorf("%s / is %d", method, got.status)
		}
	}
	code, state := health(t, url)
	want := page.State{Status: page.Starting, Phase: page.Pulling, Read: 25, Total: 100}
	if code != http.StatusServiceUnavailable || state != want {
		t.Errorf("the health is %d %+v, want 503 %+v", code, state, want)
	}
	for _, path := range []string{"/mcp", "/mcp/", "/sse", "/messages"} {
		got := ask(t, http.MethodPost, url+path, nil)
		if got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") != "5" ||
			!strings.Contains(got.body, `"message":"the server is starting: pulling, 25% of the image was read"`) {
			t.Errorf("POST %s: %+v", path, got)
		}
	}
	if got := ask(t, http.MethodGet, url+"/other", nil); got.status != http.StatusNotFound {
		t.Errorf("another path is %d", got.status)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

// caller is a client that sees every byte.
type caller struct {
	t    *testing.T
	conn net.Conn
}

func call(t *testing.T, address string) caller {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return caller{t, conn}
}

func (c caller) says(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c.conn, text); err != nil {
		c.t.Error(err)
	}
}

// wants reads a response and compares its status and body.
func (c caller) wants(status int, body string) {
	c.t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(c.conn), nil)
	if err != nil {
		c.t.Errorf("no response: %v", err)
		return
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != status || string(got) != body {
		c.t.Errorf("the response is %d %.200q, %v; want %d %.200q", resp.StatusCode, got, err, status, body)
	}
}

func post(path, body string) string {
	return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s", path, len(body), body)
}

// echo serves what was handed over: it answers with the path and the body.
func echo(t *testing.T, passage front.Passage) {
	t.Helper()
	listener, err := passage.Open()
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("%s: %v", r.URL, err)
		}
		_, _ = fmt.Fprintf(w, "%s %s", r.URL.Path, body)
	})}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		if err := errors.Join(server.Close(), <-served); !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
}

func TestNobodyIsLostInAHandOver(t *testing.T) {
	t.Parallel()
	l, address := lobby(t, time.Minute)
	long := strings.Repeat("x", 1<<20)
	silent, half, whole, big, expecting := call(t, address), call(t, address), call(t, address), call(t, address), call(t, address)
	whole.says(post("/mcp", "whole"))
	half.says("POST /mcp HTTP/1.1\r\nHost: local")
	var writing sync.WaitGroup
	writing.Go(func() { big.says(post("/mcp", long)) })
	expecting.says("POST /mcp HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
	front.AwaitWaiting(l, 3) // of five, two have not said what they want

	passage, err := l.HandOver()
	if err != nil {
		t.Fatal(err)
	}
	if len(passage.Guests) != 5 {
		t.Errorf("%d connections are handed over, want 5", len(passage.Guests))
	}
	between := call(t, address) // the listener's queue takes it
	between.says(post("/sse", "between"))

	echo(t, passage)
	whole.wants(200, "/mcp whole")
	between.wants(200, "/sse between")
	half.says("host\r\nContent-Length: 2\r\n\r\nok")
	half.wants(200, "/mcp ok")
	silent.says(post("/messages", "now"))
	silent.wants(200, "/messages now")
	big.wants(200, "/mcp "+long)
	writing.Wait()
	expecting.wants(100, "")
	expecting.says("body")
	expecting.wants(200, "/mcp body")
}

func TestAHandOverUnderLoadAnswersEverybody(t *testing.T) {
	t.Parallel()
	l, address := lobby(t, time.Minute)
	ctx, stop := context.WithCancel(t.Context())
	var callers sync.WaitGroup
	for i := range 8 {
		path := []string{"/mcp", "/health", "/"}[i%3]
		callers.Go(func() {
			client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
			for n := 0; ctx.Err() == nil; n++ {
				resp, err := client.Post("http://"+address+path, "application/json", strings.NewReader("{}"))
				if err != nil {
					t.Errorf("%s: request %d: %v", path, n, err)
					return
				}
				if _, err := io.Copy(io.Discard, resp.Body); err != nil {
					t.Errorf("%s: answer %d: %v", path, n, err)
				}
				_ = resp.Body.Close()
			}
		})
	}
	front.AwaitWaiting(l, 3)
	passage, err := l.HandOver()
	if err != nil {
		t.Fatal(err)
	}
	echo(t, passage)
	last := call(t, address)
	last.says(post("/mcp", "last"))
	last.wants(200, "/mcp last")
	stop()
	callers.Wait()
}

func TestALobbyThatClosesSendsItsClientsAway(t *testing.T) {
	t.Parallel()
	l, address := lobby(t, time.Minute)
	c := call(t, address)
	c.says(post("/mcp", "{}"))
	front.AwaitWaiting(l, 1)
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	c.wants(503, `{"jsonrpc":"2.0","error":{"code":-32603,"message":"the server is starting: pulling, 25% of the image was read"}}`)
}

func TestWhoGoesIsForgotten(t *testing.T) {
	t.Parallel()
	l, address := lobby(t, time.Minute)
	c := call(t, address)
	c.says(post("/mcp", "{}"))
	front.AwaitWaiting(l, 1)
	if err := c.conn.Close(); err != nil {
		t.Fatal(err)
	}
	front.AwaitWaiting(l, 0)
	passage, err := l.HandOver()
	if err != nil || len(passage.Guests) > 0 {
		t.Errorf("HandOver = %d guests, %v, want nobody", len(passage.Guests), err)
	}
	if err := passage.Listener.Close(); err != nil {
		t.Error(err)
	}
}

func TestOnlySoManyMayWait(t *testing.T) {
	t.Parallel()
	l, address := lobby(t, time.Minute)
	for range front.MaxWaiting {
		call(t, address).says(post("/mcp", "{}"))
	}
	front.AwaitWaiting(l, front.MaxWaiting)
	var answer bytes.Buffer
	c := call(t, address)
	c.says(post("/mcp", "{}"))
	if _, err := io.Copy(&answer, c.conn); err != nil {
		t.Error(err)
	}
	if !strings.HasPrefix(answer.String(), "HTTP/1.1 503 ") {
		t.Errorf("one more is answered %q, want 503", answer.String())
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}
