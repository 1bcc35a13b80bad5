package bridge_test

import (
	"bufio"
	"errors"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drengskapur/fastmcp-runner/internal/bridge"
)

func TestARequestMayHave16MiB(t *testing.T) {
	t.Parallel()
	const limit = 16 << 20
	c := open(t, nil).begin(t, "2025-11-25")
	head, tail := `{"jsonrpc":"2.0","method":"large","params":"`, `"}`
	largest := head + strings.Repeat("x", limit-len(head)-len(tail)) + tail
	c.wants(http.StatusAccepted, largest)
	got := c.wants(http.StatusRequestEntityTooLarge, largest+" ")
	if want := `{"jsonrpc":"2.0","error":{"code":-32600,"message":"the request has more than 16777216 bytes"}}`; got.body != want {
		t.Errorf("got %s, want %s", got.body, want)
	}
	c.wants(http.StatusOK, call("1", "echo", "{}"))
}

// pipe is a listener with one connection.
type pipe struct{ conns chan net.Conn }

func (p pipe) Accept() (net.Conn, error) {
	conn, ok := <-p.conns
	if !ok {
		return nil, net.ErrClosed
	}
	return conn, nil
}

func (p pipe) Close() error { return nil }

func (p pipe) Addr() net.Addr { return &net.TCPAddr{} }

// serveOne serves one connection, of which it returns the other end. It holds
// nothing: what is not read on one end cannot be written on the other.
func serveOne(t *testing.T, h http.Handler) net.Conn {
	t.Helper()
	client, ours := net.Pipe()
	listener := pipe{make(chan net.Conn, 1)}
	listener.conns <- ours
	close(listener.conns)
	server := &http.Server{Handler: h}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		if err := <-served; !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
		_ = client.Close()
	})
	return client
}

func TestABodyThatDoesNotComeIsNotWaitedForLongerThanAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client := serveOne(t, bridge.New(bridge.Options{}))
		began := time.Now()
		const half = "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
		if _, err := client.Write([]byte(half)); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(bufio.NewReader(client), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if took := time.Since(began); resp.StatusCode != http.StatusBadRequest || took != time.Minute {
			t.Errorf("status %d after %s, want 400 after a minute", resp.StatusCode, took)
		}
	})
}

// A keep-alive comment every 15 s finds out those that are there no more.
func TestAClientThatReadsNothingIsCutOffAfterHalfAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		over := make(chan time.Time, 1)
		stream := bridge.SilentStream(&bridge.Options{})
		client := serveOne(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			stream.ServeHTTP(w, r)
			over <- time.Now()
		}))
		began := time.Now()
		if _, err := client.Write([]byte("GET /sse HTTP/1.1\r\nHost: localhost\r\n\r\n")); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(bufio.NewReader(client), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if took := (<-over).Sub(began); took != 15*time.Second+30*time.Second {
			t.Errorf("it was cut off after %s", took)
		}
	})
}

// A timer that goes on would keep all that a session held.
func TestNothingIsHeldOfASessionThatHasEnded(t *testing.T) {
	t.Parallel()
	const keepAlive = 2 * time.Millisecond
	forgotten := bridge.EndedOutbox(&bridge.Options{KeepAlive: keepAlive}, 5*keepAlive)
	eventually(t, "nothing holds the outbox", func() bool {
		runtime.GC()
		return forgotten()
	})
}
