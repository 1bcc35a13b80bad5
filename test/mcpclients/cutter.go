package mcpclients

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
)

// cutOnce takes a client on a tour through a network that breaks a connection
// where it is to resume a call.
func cutOnce(url string, take func(url string) (Tour, error)) (Tour, error) {
	cut, err := newCutter(url)
	if err != nil {
		return nil, err
	}
	defer cut.server.Close()
	tour, err := take(cut.url(url))
	if tour[Resume] != "" && cut.count() != 1 {
		err = errors.Join(err, fmt.Errorf("%d connections were cut, and one was to be", cut.count()))
	}
	return tour, err
}

// cutter is a network between a client and its server that is fine but for
// one thing: it breaks the connection of each call of resumeSteps steps, after
// the first progress that comes on it.
type cutter struct {
	server *httptest.Server
	mu     sync.Mutex
	cuts   int
}

// resumeSteps marks the calls whose connections break.
const resumeSteps = 4

// newCutter returns a network in front of the server at a URL.
func newCutter(target string) (*cutter, error) {
	to, err := url.Parse(target)
	if err != nil {
		return nil, err
	}
	c := &cutter{}
	c.server = httptest.NewServer(&httputil.ReverseProxy{
		FlushInterval:  -1,
		Rewrite:        func(r *httputil.ProxyRequest) { rewrite(r, to) },
		ModifyResponse: c.breakLater,
		ErrorLog:       slog.NewLogLogger(slog.DiscardHandler, slog.LevelError), // it would tell of every cut
	})
	return c, nil
}

// rewrite sends a request to the same path of the server.
func rewrite(r *httputil.ProxyRequest, to *url.URL) {
	r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = to.Scheme, to.Host, to.Host
	body, err := io.ReadAll(r.In.Body)
	if err != nil {
		body = nil // the server will say what it thinks of that
	}
	r.Out.Body = io.NopCloser(bytes.NewReader(body))
	if r.In.Method == http.MethodPost && bytes.Contains(body, []byte(`"steps":4`)) {
		r.Out.Header.Set(cutHeader, "please")
	}
}

// cutHeader marks the requests whose connections break. No server knows it.
const cutHeader = "Test-Cut"

func (c *cutter) breakLater(resp *http.Response) error {
	if resp.Request.Header.Get(cutHeader) != "" {
		resp.Body = &cutBody{ReadCloser: resp.Body, cut: c}
	}
	return nil
}

// url returns where the network is entered for a path of the server.
func (c *cutter) url(target string) string {
	to := strings.SplitN(target, "/", 4)
	return c.server.URL + "/" + to[len(to)-1]
}

// count returns how many connections were cut.
func (c *cutter) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cuts
}

// cutBody is the body of a response on a connection that breaks.
type cutBody struct {
	io.ReadCloser
	cut  *cutter
	told bool
}

var errCut = errors.New("the connection was cut by the test")

func (b *cutBody) Read(p []byte) (int, error) {
	if b.told {
		b.cut.mu.Lock()
		b.cut.cuts++
		b.cut.mu.Unlock()
		return 0, errCut
	}
	n, err := b.ReadCloser.Read(p)
	b.told = bytes.Contains(p[:n], []byte("notifications/progress"))
	return n, err
}
