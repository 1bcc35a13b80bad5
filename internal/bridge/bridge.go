// Package bridge serves a stdio MCP server over HTTP. It starts the server as
// a child process for every session and carries the messages between the two
// sides as they are; it reads of them only what it needs to know where they
// belong. Of clients without sessions it changes the ids, and translates for
// older servers. It does not know where the server comes from, and of MCP only what
// its transports have to know.
package bridge

import (
	"context"
	"crypto/sha256"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/drengskapur/fastmcp-runner/internal/bridge/child"
)

// Bridge is an HTTP handler that carries MCP messages to child processes and
// back. Its owner must call Shutdown.
type Bridge struct {
	opts   Options
	guard  *guard
	signer signer
	// started is when the bridge was made: see isStale.
	started time.Time
	backoff backoff
	gate    *gate
	stats   *stats
	// routes are what is served, by URL path.
	routes map[string]http.HandlerFunc
	lanes  lanes
	pools  pools
	// transit is the memory for what is underway to servers.
	transit *transit
	// exchanges are what modern clients have going with legacy servers.
	exchanges exchanges
	// closing is closed when Shutdown begins.
	closing chan struct{}
	// tasks are the goroutines that outlive a request.
	tasks sync.WaitGroup

	mu       sync.Mutex
	nursery  *child.Nursery // nil before the first child
	reaping  context.CancelFunc
	sessions map[string]*session
	numbers  uint64 // of the sessions there have been
	rest     rest
	gone     tombstones
	down     bool // nothing is started any more
}

// New returns a bridge. It starts nothing before the first request.
func New(opts Options) *Bridge {
	opts = opts.withDefaults()
	counted := newStats()
	b := &Bridge{
		opts: opts, guard: newGuard(&opts, counted), signer: newSigner(opts.SessionKey), started: time.Now(), stats: counted,
		gate:   newGate(runtime.GOMAXPROCS(0)), // by the quota of the cgroup as well
		routes: map[string]http.HandlerFunc{}, transit: newTransit(opts.MaxBody),
		closing: make(chan struct{}), sessions: map[string]*session{},
	}
	if opts.SSE != SSEOff {
		b.routes[SSEPath] = b.serveSSE
		b.routes[MessagesPath] = b.serveMessages
	}
	if opts.SSE != SSEOnly {
		b.routes[trimSlash(opts.Path)] = b.serveEndpoint
	}
	return b
}

// ServeHTTP serves the MCP endpoint, and those of HTTP+SSE. A slash at the end
// of a path makes no difference, because clients differ in whether they add it.
func (b *Bridge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	route := b.routes[trimSlash(r.URL.Path)]
	if route == nil {
		// Without a look at the token: a client that looks for a way to get
		// one takes anything but 404 for an answer.
		http.NotFound(w, r)
		return
	}
	if b.guard.admit(w, r) {
		route(w, r)
	}
}

func trimSlash(path string) string { return strings.TrimSuffix(path, "/") }

// Guard returns a handler that lets nobody reach another one who may not use
// the bridge.
func (b *Bridge) Guard(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if b.guard.admit(w, r) {
			h.ServeHTTP(w, r)
		}
	})
}

// Admits says whether a request may use the bridge.
func (b *Bridge) Admits(r *http.Request) bool { return b.guard.admits(r) }

// Health says how the bridge is.
type Health struct {
	// Sessions is how many sessions there are.
	Sessions int
	// Failing says that the server does not start: in a crash loop.
	Failing bool
	// RetryAfter is how long no start is tried.
	RetryAfter time.Duration
	// Err is why the server did not start the last time; nil if it did.
	Err error
}

// Health returns how the bridge is.
func (b *Bridge) Health() Health {
	wait, err := b.backoff.wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	return Health{Sessions: len(b.sessions), Failing: b.backoff.looping(), RetryAfter: wait, Err: err}
}

// Shutdown ends all streams and children, and returns when nothing is left of
// them: within the grace, or sooner if the context ends.
func (b *Bridge) Shutdown(ctx context.Context) {
	b.mu.Lock()
	if !b.down {
		b.down = true
		b.rest.end()
		close(b.closing)
	}
	sessions := b.list()
	b.mu.Unlock()
	for _, s := range sessions {
		b.end(s, errDown, false)
	}
	over := make(chan struct{})
	go func() { b.tasks.Wait(); close(over) }()
	select {
	case <-over:
	case <-ctx.Done():
		for _, s := range sessions {
			s.kill()
		}
		<-over
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.nursery != nil {
		b.reaping()
		b.nursery.Close()
		b.nursery = nil
	}
}

// list returns the sessions. The lock is held.
func (b *Bridge) list() []*session {
	sessions := make([]*session, 0, len(b.sessions))
	for _, s := range b.sessions {
		sessions = append(sessions, s)
	}
	return sessions
}

// openNursery opens the nursery if it is not. The lock is held.
func (b *Bridge) openNursery() *child.Nursery {
	if b.nursery != nil {
		return b.nursery
	}
	b.nursery = child.Open()
	ctx, cancel := context.WithCancel(context.Background())
	b.reaping = cancel
	if b.opts.Reap {
		var reaper sync.WaitGroup
		nursery := b.nursery
		reaper.Go(func() { nursery.Reap(ctx) })
		b.reaping = func() { cancel(); reaper.Wait() }
	}
	return b.nursery
}

// maxTombstones bounds how many ended sessions are remembered.
const maxTombstones = 10_000

// tombstones are the ids of sessions that ended for good, the oldest first.
type tombstones struct {
	ids   map[tombstone]bool
	order []tombstone
}

// tombstone is a hash of an id: an id itself may have 3 KiB.
type tombstone [sha256.Size]byte

func (t *tombstones) has(id string) bool { return t.ids[sha256.Sum256([]byte(id))] }

func (t *tombstones) add(id string) {
	if t.ids == nil {
		t.ids = map[tombstone]bool{}
	}
	if len(t.order) == maxTombstones {
		delete(t.ids, t.order[0])
		t.order = slices.Delete(t.order, 0, 1)
	}
	grave := sha256.Sum256([]byte(id))
	t.ids[grave] = true
	t.order = append(t.order, grave)
}
