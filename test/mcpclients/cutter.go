package mcpclients

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"sync"
)

// cutter is a network that breaks the connection of the next call, after the
// first progress that comes on it.
type cutter struct {
	mu   sync.Mutex
	next bool
}

func (c *cutter) arm() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.next = true
}

// armed says whether the cut is still to come.
func (c *cutter) armed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.next
}

// RoundTrip is that of http.RoundTripper.
func (c *cutter) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err == nil && r.Method == http.MethodPost {
		resp.Body = &cutBody{ReadCloser: resp.Body, cutter: c}
	}
	return resp, err
}

// cutBody is the body of a response.
type cutBody struct {
	io.ReadCloser
	cutter *cutter
	cut    bool
}

var errCut = errors.New("the connection was cut by the test")

func (b *cutBody) Read(p []byte) (int, error) {
	if b.cut {
		return 0, errCut
	}
	n, err := b.ReadCloser.Read(p)
	if err == nil && bytes.Contains(p[:n], []byte("notifications/progress")) {
		b.cutter.mu.Lock()
		b.cut, b.cutter.next = b.cutter.next, false
		b.cutter.mu.Unlock()
	}
	return n, err
}
