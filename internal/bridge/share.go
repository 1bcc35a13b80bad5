package bridge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
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
func (b *Bridge) share(s *session) (*share, error) {
	b.pools.mu.Lock()
	defer b.pools.mu.Unlock()
	mine := &share{receive: s.receive, lost: s.lost, exited: make(chan struct{}), done: make(chan struct{})}
	if p := b.pools.current; p != nil && p.join(mine) {
		return mine, nil
	}
	p := &pool{log: b.opts.Log, stats: b.stats, asked: map[string]*share{}}
	p.join(mine)
	ready := make(chan struct{})
	defer close(ready)
	process, err := b.startChild(func(m jsonrpc.Message) { <-ready; p.receive(m) }, p.lost, b.opts.Log)
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

// translate returns what the server gets of a message, if anything, or what
// the client is answered at once.
func (p *pool) translate(s *share, m jsonrpc.Message) (forward []byte, answer *jsonrpc.Message) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if m.Method == "initialize" {
		return p.greet(s, m)
	}
	if sent, ok := p.rewrite(s, m); ok {
		return sent.Raw, nil
	}
	return nil, nil
}

// rewrite returns a message as the server gets it, unless it is not for it.
// The lock is held.
func (p *pool) rewrite(s *share, m jsonrpc.Message) (jsonrpc.Message, bool) {
	switch {
	case m.Kind == jsonrpc.Response:
		key := m.Key(m.ID)
		mine := p.asked[key] == s
		if mine {
			delete(p.asked, key)
		}
		return m, mine
	case m.Kind == jsonrpc.Request:
		return p.number(s, m), true
	case m.Method == "notifications/initialized":
		first := !p.begun
		p.begun = true
		return m, first
	case m.Method == "notifications/cancelled":
		key := m.Key(m.Cancels)
		i := p.callOf(s, key)
		if i < 0 || p.calls[i].number == helloNumber { // for which others wait
			return m, false
		}
		number := p.calls[i].number
		p.calls = slices.Delete(p.calls, i, i+1)
		return m.With(jsonrpc.Edit{At: m.Cancels, With: []byte(number)}), true
	}
	return m, true
}

// callOf returns the place of a client's request among the calls; -1 if it is
// not there. The lock is held.
func (p *pool) callOf(s *share, key string) int {
	return slices.IndexFunc(p.calls, func(c poolCall) bool { return c.of == s && c.key == key })
}

// withdraw forgets a request that the server does not get.
func (p *pool) withdraw(s *share, key string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := p.callOf(s, key); i >= 0 {
		p.calls = slices.Delete(p.calls, i, i+1)
	}
}

// number registers a request and gives it a number of ours. The lock is held.
func (p *pool) number(s *share, m jsonrpc.Message) jsonrpc.Message {
	p.last++
	number := strconv.FormatUint(p.last, 10)
	p.calls = append(p.calls, poolCall{number, bytes.Clone(m.Bytes(m.ID)), bytes.Clone(m.Bytes(m.Token)), m.Key(m.ID), s})
	return m.With(jsonrpc.Edit{At: m.ID, With: []byte(number)}, jsonrpc.Edit{At: m.Token, With: []byte(number)})
}

// greet sends the first initialize request. The others get the same answer.
// The lock is held.
func (p *pool) greet(s *share, m jsonrpc.Message) (forward []byte, answer *jsonrpc.Message) {
	if !p.helloSent {
		p.helloSent = true
		return p.number(s, m).Raw, nil
	}
	if p.hello == nil {
		p.waiting = append(p.waiting, poolCall{id: m.Bytes(m.ID), of: s})
		return nil, nil
	}
	hello := p.hello.With(jsonrpc.Edit{At: p.hello.ID, With: m.Bytes(m.ID)})
	return nil, &hello
}

func (c poolCall) answer(m jsonrpc.Message) {
	c.of.receive(m.With(jsonrpc.Edit{At: m.ID, With: c.id}))
}

// receive takes a message of the server to the client that it is for.
func (p *pool) receive(m jsonrpc.Message) {
	for _, deliver := range p.route(m) {
		deliver()
	}
}

// route returns what is to be done about a message, without the lock.
func (p *pool) route(m jsonrpc.Message) []func() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if m.Kind == jsonrpc.Response {
		return p.routeAnswer(m)
	}
	if key := m.Key(m.Token); key != "" && m.Kind == jsonrpc.Notification {
		i := slices.IndexFunc(p.calls, func(c poolCall) bool { return c.number == key && c.token != nil })
		if i < 0 {
			return nil
		}
		c := p.calls[i]
		return []func(){func() { c.of.receive(m.With(jsonrpc.Edit{At: m.Token, With: c.token})) }}
	}
	if m.Kind == jsonrpc.Notification && (strings.HasSuffix(m.Method, "/list_changed") || m.Method == resourceUpdated) {
		var all []func()
		for _, s := range p.shares {
			all = append(all, func() { s.receive(m) })
		}
		return all
	}
	return p.routeStray(m)
}

// routeAnswer takes an answer to its request. The lock is held.
func (p *pool) routeAnswer(m jsonrpc.Message) []func() {
	key := m.Key(m.ID)
	var answers []func()
	if p.hello == nil && key == helloNumber {
		p.hello = &m
		for _, c := range p.waiting {
			answers = append(answers, func() { c.answer(m) })
		}
		p.waiting = nil
	}
	// One that is not there was cancelled.
	if i := slices.IndexFunc(p.calls, func(c poolCall) bool { return c.number == key }); i >= 0 {
		c := p.calls[i]
		p.calls = slices.Delete(p.calls, i, i+1)
		answers = append(answers, func() { c.answer(m) })
	}
	return answers
}

// helloNumber is the number of the first request, which is initialize.
const helloNumber = "1"

// routeStray takes what does not say where it belongs to the only client that
// it can be for. If there are several, nobody gets it. The lock is held.
func (p *pool) routeStray(m jsonrpc.Message) []func() {
	var owner *share
	for _, c := range p.calls {
		if owner != nil && owner != c.of {
			owner = nil
			break
		}
		owner = c.of
	}
	if len(p.shares) == 1 {
		owner = p.shares[0]
	}
	if owner == nil {
		p.log.Debug("Dropped a message of the shared server: it is for nobody", "method", m.Method)
		if m.Kind != jsonrpc.Request {
			return nil
		}
		return []func(){func() { p.decline(m) }}
	}
	if m.Kind == jsonrpc.Request {
		if len(p.asked) >= maxCalls {
			return []func(){func() { p.decline(m) }}
		}
		p.asked[m.Key(m.ID)] = owner
	}
	return []func(){func() { owner.receive(m) }}
}

// decline answers a request of the server that is for no client.
func (p *pool) decline(m jsonrpc.Message) {
	ctx, cancel := context.WithTimeout(context.Background(), probeTime)
	defer cancel()
	if err := p.process.Send(ctx, declined(&m)); err != nil {
		p.log.Debug("Cannot answer the server", "err", err)
	}
}

// lost answers the request whose answer was dropped for its length.
func (p *pool) lost(key string, err error) {
	p.mu.Lock()
	var calls []poolCall
	p.calls = slices.DeleteFunc(p.calls, func(c poolCall) bool {
		hit := key == "" || c.number == key
		if hit {
			calls = append(calls, c)
		}
		return hit
	})
	p.mu.Unlock()
	for _, c := range calls {
		c.of.lost(c.key, err)
	}
}
