package bridge

import (
	"context"
	"errors"
	"net/http"
	"time"
	"weak"

	"github.com/drengskapur/fastmcp-runner/internal/bridge/jsonrpc"
)

// Backoff is what slows down the starts of a server that does not start.
type Backoff struct{ b backoff }

// Failed notes that a server did not start.
func (b *Backoff) Failed(err error) { b.b.failed(err) }

// Succeeded notes that a server has started.
func (b *Backoff) Succeeded() { b.b.succeeded() }

// Wait returns how long none is started.
func (b *Backoff) Wait() time.Duration { wait, _ := b.b.wait(); return wait }

// Looping says whether the server is in a crash loop.
func (b *Backoff) Looping() bool { return b.b.looping() }

// EndedOutbox makes the outbox of a session with a client that reads a stream,
// closes it after a time, and returns what says whether nothing holds it any
// more.
func EndedOutbox(opts *Options, after time.Duration) (forgotten func() bool) {
	b := newOutbox(opts)
	b.mu.Lock()
	b.newStream(0).attach(0)
	b.mu.Unlock()
	time.Sleep(after)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.close()
	held := weak.Make(b)
	return func() bool { return held.Value() == nil }
}

// SilentStream returns a handler that serves a stream on which nothing comes.
func SilentStream(opts *Options) http.Handler {
	b := New(*opts)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		box := newOutbox(&b.opts)
		box.mu.Lock()
		st := box.newStream(0)
		me := st.attach(0)
		box.mu.Unlock()
		out := b.newResponder(w)
		if out.begin(st) == nil {
			out.serve(r.Context(), st, me)
		}
		box.mu.Lock()
		defer box.mu.Unlock()
		box.close()
	})
}

// Count counts a request that has succeeded.
func Count(b *Bridge, method string, took time.Duration) { b.stats.over(method, succeeded, took) }

// Mirrors returns the headers that repeat arguments of a tool with a schema,
// and the names that lead to the arguments; ok is false if a mark in it is
// wrong.
func Mirrors(schema []byte) (paths map[string][]string, ok bool) {
	found, ok := mirrorsIn(schema)
	paths = map[string][]string{}
	for _, mirror := range found {
		paths[mirror.header] = mirror.path
	}
	return paths, ok
}

// CheckMirrors checks that the headers of a call repeat its arguments, for a
// tool with a schema.
func CheckMirrors(schema, body []byte, h http.Header) error {
	m, err := jsonrpc.Parse(body)
	if err != nil {
		return err
	}
	call, err := readModern(m)
	if err != nil {
		return err
	}
	found, _ := mirrorsIn(schema)
	for _, mirror := range found {
		if err := mirror.check(h, &call); err != nil {
			return err
		}
	}
	return nil
}

// SignedID returns the id of a session that a bridge with a key made at a time.
func SignedID(secret []byte, params string, made time.Time) string {
	return newSigner(secret).newID([]byte(params), made)
}

// OpenID returns what an id carries, if it is one of a bridge with a key.
func OpenID(secret []byte, id string) (made time.Time, params string, ok bool) {
	carried, ok := newSigner(secret).open(id)
	return carried.made, string(carried.params), ok
}

// IsStale says whether a bridge would refuse an id that it does not know.
func IsStale(started, made, now time.Time, idle time.Duration) bool {
	b := Bridge{started: started, opts: Options{Idle: idle}}
	return b.isStale(sealed{made: made}, now)
}

// Rest has the bridge give its memory back now, if it is about to do so.
func Rest(b *Bridge) (resting bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rest.timer == nil || !b.rest.timer.Stop() {
		return false
	}
	giveBack()
	return true
}

// Gate lets servers start a few at a time.
type Gate struct{ g *gate }

// NewGate returns the gate of a machine with so many CPUs.
func NewGate(cpus int) Gate { return Gate{newGate(cpus)} }

// Join takes a place in the queue.
func (g Gate) Join() (Turn, error) { t, err := g.g.join(inOrder); return Turn{t}, err }

// JoinFirst takes the first place in the queue.
func (g Gate) JoinFirst() (Turn, error) { t, err := g.g.join(urgent); return Turn{t}, err }

// Pace is how long the machine takes for one start.
func (g Gate) Pace() time.Duration { return g.g.pace }

// Turn is a start.
type Turn struct{ t *turn }

// Come says whether it may start.
func (t Turn) Come() bool {
	select {
	case <-t.t.come:
		return true
	default:
		return false
	}
}

// Wait waits until it may start.
func (t Turn) Wait(ctx context.Context, closing <-chan struct{}) error { return t.t.wait(ctx, closing) }

// Limit ends it when its server has ended or takes too long.
func (t Turn) Limit(exited <-chan struct{}, limit time.Duration) { t.t.limit(exited, limit) }

// Leave ends it.
func (t Turn) Leave(well bool) { t.t.leave(well) }

// Crowded returns how long a start would have had to wait that was refused for
// that, and when to come again.
func Crowded(err error) (wait, retry time.Duration) {
	if crowded, ok := errors.AsType[*crowdedError](err); ok {
		return crowded.wait, crowded.retry
	}
	return 0, 0
}

// Slow has the bridge believe that a start takes so long.
func Slow(b *Bridge, pace time.Duration) { b.gate.pace = pace }
