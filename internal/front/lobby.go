package front

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/drengskapur/fastmcp-runner/internal/bridge/jsonrpc"
	"github.com/drengskapur/fastmcp-runner/internal/page"
)

const (
	// patience is how long a client is kept waiting for the server. Clients
	// wait for 30 or 60 seconds, of which the server needs some, and most of
	// those that get an error do not try again by themselves.
	patience = 20 * time.Second
	// retryAfter is when a client that had to be sent away may come back.
	retryAfter = 5 * time.Second
	// maxWaiting is how many clients may wait.
	maxWaiting = 256
	// maxKept is how much of a request is read before there is a server.
	maxKept = 64 << 10
	// leaveTimeout is how long the answers of the lobby may take that are
	// being sent when it closes.
	leaveTimeout = time.Second
)

// Lobby is the server while there is nothing to serve yet: it says how far the
// start has come, and keeps clients of the bridge waiting for it.
type Lobby struct {
	site     Site
	state    func() page.State
	patience time.Duration

	listener *net.TCPListener
	server   *http.Server
	served   chan struct{} // closed when nobody can come any more
	leaving  chan struct{} // closed when nobody is to wait any more
	waiting  atomic.Int64

	mu       sync.Mutex
	visitors map[*visitor]bool
}

// LobbyOptions say what a lobby tells.
type LobbyOptions struct {
	Site

	// State says how things are. It is called for each request, and must not
	// block.
	State func() page.State
	// Patience is how long a client is kept waiting; zero means 20 s.
	Patience time.Duration
	// Log gets what goes wrong with a connection.
	Log *slog.Logger
}

// OpenLobby serves at a listener. Its owner must call HandOver or Close.
func OpenLobby(listener *net.TCPListener, opts LobbyOptions) *Lobby {
	l := &Lobby{
		site: opts.Site, state: opts.State, patience: opts.Patience, listener: listener,
		served: make(chan struct{}), leaving: make(chan struct{}), visitors: map[*visitor]bool{},
	}
	if l.patience == 0 {
		l.patience = patience
	}
	l.server = newServer(l.handler(), opts.Log)
	// Each request has a connection of its own, so that it is clear to whom
	// the next one belongs.
	l.server.SetKeepAlivesEnabled(false)
	go func() {
		defer close(l.served)
		_ = l.server.Serve(entrance{listener, l}) // it ends when the listener is closed
	}()
	return l
}

func (l *Lobby) handler() http.Handler {
	nobody := func() *page.Server { return nil }
	home, health := l.site.home(l.state, nobody, nil), l.site.health(l.state, nil)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case l.site.isHealth(r):
			health.ServeHTTP(w, r)
		case l.site.isHome(r):
			home.ServeHTTP(w, r)
		case l.site.isEndpoint(r):
			l.wait(w, r)
		default:
			http.NotFound(w, r)
		}
	})
}

// wait keeps a client waiting. If its connection is handed over meanwhile, what
// is written here goes nowhere.
func (l *Lobby) wait(w http.ResponseWriter, r *http.Request) {
	defer l.waiting.Add(-1)
	if l.waiting.Add(1) <= maxWaiting {
		timer := time.NewTimer(l.patience)
		defer timer.Stop()
		l.readAhead(w, r)
		select {
		case <-l.leaving:
		case <-timer.C:
		case <-r.Context().Done():
		}
	}
	w.Header().Set("Retry-After", strconv.Itoa(int(retryAfter.Seconds())))
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusServiceUnavailable)
	_, _ = w.Write(jsonrpc.Failure(nil, jsonrpc.CodeInternal, "the server is starting: "+progress(l.state()), nil)) // nobody is left to be told
}

// readAhead reads a request to its end, if that is not far: only then the
// server notices when its client goes. The visitor keeps what is read.
func (l *Lobby) readAhead(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Expect") != "" {
		return // to read would be to answer it
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(l.patience)) // a visitor can
	_, _ = io.CopyN(io.Discard, r.Body, maxKept)                                  // who answers reads it again
}

// progress says in words how far a start has come.
func progress(s page.State) string {
	if s.Total == 0 {
		return string(s.Phase)
	}
	return fmt.Sprintf("%s, %d%% of the image was read", s.Phase, 100*s.Read/s.Total)
}

// Close ends the lobby without a successor: clients that wait are sent away.
func (l *Lobby) Close() error {
	err := l.lock()
	close(l.leaving)
	return errors.Join(err, l.clear())
}

// lock lets nobody in any more.
func (l *Lobby) lock() error {
	err := l.listener.Close()
	<-l.served
	return err
}

// clear waits until those whom the lobby answers have got it.
func (l *Lobby) clear() error {
	ctx, cancel := context.WithTimeout(context.Background(), leaveTimeout)
	defer cancel()
	if l.server.Shutdown(ctx) == nil {
		return nil
	}
	return l.server.Close()
}

// HandOver ends the lobby, and returns what the successor is to listen at and
// whom it has to answer. Nobody is refused meanwhile: who comes now waits in the
// listener's queue.
func (l *Lobby) HandOver() (Passage, error) {
	listener, err := l.listener.File()
	if err != nil {
		return Passage{}, errors.Join(fmt.Errorf("cannot hand the listener over: %w", err), l.Close())
	}
	p := Passage{Listener: listener}
	if err := l.lock(); err != nil {
		return p, fmt.Errorf("cannot hand the listener over: %w", err)
	}
	for _, v := range l.list() {
		if g, ok := v.handOver(); ok {
			p.Guests = append(p.Guests, g)
		}
	}
	close(l.leaving)
	return p, l.clear()
}

// list returns those who are there, as many as may wait.
func (l *Lobby) list() []*visitor {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := make([]*visitor, 0, len(l.visitors))
	for v := range l.visitors {
		if len(list) < maxWaiting {
			list = append(list, v)
		}
	}
	return list
}

// entrance makes a visitor of everybody who comes.
type entrance struct {
	*net.TCPListener

	lobby *Lobby
}

// Accept waits for the next one.
func (e entrance) Accept() (net.Conn, error) {
	conn, err := e.AcceptTCP()
	if err != nil {
		return nil, err
	}
	v := &visitor{Conn: conn, tcp: conn, gone: e.lobby.forget}
	e.lobby.mu.Lock()
	defer e.lobby.mu.Unlock()
	e.lobby.visitors[v] = true
	return v, nil
}

func (l *Lobby) forget(v *visitor) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.visitors, v)
}
