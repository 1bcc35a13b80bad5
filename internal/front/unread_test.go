package front_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// A client that promises a body and does not send it holds a connection for
// ever, if nobody limits that: even one that may not use the server.
func TestNobodyWaitsForABodyThatIsNotRead(t *testing.T) {
	t.Parallel()
	h := serve(t, "cat", nil)
	var clients sync.WaitGroup
	for _, request := range []string{
		"POST /mcp HTTP/1.1\r\nHost: evil.com\r\n",
		"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n",
		"GET /health HTTP/1.1\r\nHost: localhost\r\n",
		"GET / HTTP/1.1\r\nHost: localhost\r\n",
	} {
		clients.Go(func() { promise(t, h.url, request) })
	}
	clients.Wait()
}

// promise makes a request with a body that does not come.
func promise(t *testing.T, url, request string) {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Error(err)
	}
	if _, err := fmt.Fprintf(conn, "%sContent-Length: 1000\r\n\r\n", request); err != nil {
		t.Error(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Errorf("%q: %v", request, err)
		return
	}
	defer resp.Body.Close()
	if !resp.Close {
		t.Errorf("%q: status %d, and the connection stays", request, resp.StatusCode)
	}
}
