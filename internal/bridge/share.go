package bridge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/drengskapur/fastmcp-runner/internal/bridge/child"
	"github.com/drengskapur/fastmcp-runner/internal/bridge/jsonrpc"
)

// pool is a server that sessions share. To it they are one client: it begins
// once, and knows their requests and progress tokens by numbers of ours.
type pool struct {
	process *child.Process
	log     *slog.Logger
	stats   *stats
	// tasks are those of the bridge.
	tasks   *sync.WaitGroup
	replies replies

	mu     sync.Mutex
	shares []*share
	last   uint64
	calls  []poolCall // those in flight, the newest last
	// asked are the requests of the server that a client has yet to answer,
	// by the keys of their ids.
	asked map[string]*share
	// hello is the first initialize request, then the answer to it; the
	// others wait until then.
	helloSent bool
	hello     *jsonrpc.Message
	waiting   []poolCall
	begun     bool // notifications/initialized was sent
	over      bool
}

// poolCall is a request in flight, and whose it is.
type poolCall struct {
	number    string
	id, token []byte
	key       string // of the id
	of        *share
}

// share is what a session has of a pool. It takes the place of a server of
// its own.
type share struct {
	pool    *pool
	receive func(jsonrpc.Message)
	lost    func(string, error)
	exited  chan struct{}
	done    chan struct{}
	err     error // set before exited is closed
}

// share gives a session its share in the common server, which is started for
// the first and ended with the last.
func (b *Bridge) share(ctx context.Context, s *session) (*share, error) {
	b.pools.mu.Lock()
	defer b.pools.mu.Unlock()
	mine := &share{receive: s.receive, lost: s.lost, exited: make(chan struct{}), done: make(chan struct{})}
	if p := b.pools.current; p != nil && p.join(mine) {
		b.pools.told.Do(func() {
			b.opts.Log.Info("Sessions share a process of the server", "between", "all of them, by RUNNER_BRIDGE_SHARED")
		})
		return mine, nil
	}
	p := &pool{log: b.opts.Log, stats: b.stats, tasks: &b.tasks, asked: map[string]*share{}}
	p.join(mine)
	ready := make(chan struct{})
	defer close(ready)
	process, err := b.startChild(ctx, owner{
		receive: func(m jsonrpc.Message) { <-ready; p.receive(m) }, lost: p.lost, over: s.why, rank: s.rank, log: b.opts.Log,
	})
	if err != nil {
		return nil, err
	}
	p.process = process
	b.pools.current = p
	b.tasks.Go(p.watch)
	return mine, nil
}

// pools is where the pool is found.
type pools struct {
	mu      sync.Mutex
	current *pool
	// told is done when the log has said that sessions share a server.
	told sync.Once
}

// join adds a share, unless it is too late.
func (p *pool) join(s *share) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over {
		return false
	}
	s.pool = p
	p.shares = append(p.shares, s)
	return true
}

// watch ends all shares with the server.
func (p *pool) watch() {
	<-p.process.Done()
	p.mu.Lock()
	if !p.over {
		p.stats.crashes.Add(1)
	}
	p.over = true
	shares := p.shares
	p.shares = nil
	p.mu.Unlock()
	for _, s := range shares {
		s.end(p.process.Err())
	}
}

func (s *share) end(err error) {
	s.err = err
	close(s.exited)
	close(s.done)
}

// Exited is closed when the share or its server has ended.
func (s *share) Exited() <-chan struct{} { return s.exited }

// Done is closed when the share or its server has ended.
func (s *share) Done() <-chan struct{} { return s.done }

// Err returns, after Done, why that was.
func (s *share) Err() error { return s.err }

// LastWords returns the last words of the server.
func (s *share) LastWords() string { return s.pool.process.LastWords() }

// PID is the process id of the server.
func (s *share) PID() int { return s.pool.process.PID() }

// Stop gives up the share; the last one ends the server.
func (s *share) Stop(grace time.Duration) {
	p := s.pool
	p.mu.Lock()
	i := slices.Index(p.shares, s)
	last := i >= 0 && len(p.shares) == 1
	var cancelled []poolCall
	switch {
	case last:
		p.over = true // watch ends the share
	case i >= 0:
		p.shares = slices.Delete(p.shares, i, i+1)
		cancelled = p.takeCalls(s)
	}
	p.mu.Unlock()
	if last {
		p.process.Stop(grace)
		<-s.done
		return
	}
	if i >= 0 {
		p.cancel(cancelled)
		s.end(errors.New("the session has ended"))
	}
	<-s.done
}

// takeCalls removes all that a share has in flight. The lock is held.
func (p *pool) takeCalls(s *share) []poolCall {
	maps.DeleteFunc(p.asked, func(_ string, of *share) bool { return of == s })
	var taken []poolCall
	p.calls = slices.DeleteFunc(p.calls, func(c poolCall) bool {
		if c.of == s {
			taken = append(taken, c)
		}
		return c.of == s
	})
	return taken
}

// cancel tells the server that requests were given up.
func (p *pool) cancel(calls []poolCall) {
	ctx, cancel := context.WithTimeout(context.Background(), probeTime)
	defer cancel()
	for _, c := range calls {
		if c.number == helloNumber {
			continue // the others need the answer as well
		}
		notice := jsonrpc.Call(nil, "notifications/cancelled", fmt.Appendf(nil, `{"requestId":%s}`, c.number))
		if err := p.process.Send(ctx, notice); err != nil {
			p.log.Debug("Cannot cancel a request", "err", err)
			return
		}
	}
}

// Send sends a message of one client.
func (s *share) Send(ctx context.Context, message []byte) error {
	m, err := jsonrpc.Parse(message)
	if err != nil {
		return err
	}
	forward, answer := s.pool.translate(s, m)
	if answer != nil {
		s.receive(*answer)
	}
	if forward == nil {
		return nil
	}
	if m.Method == "initialize" {
		ctx = context.WithoutCancel(ctx) // the others need the answer as well
	}
	err = s.pool.process.Send(ctx, forward)
	if err != nil && m.Kind == jsonrpc.Request {
		s.pool.withdraw(s, m.Key(m.ID))
	}
	return err
}
