package bridge

import (
	"bytes"
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/drengskapur/fastmcp-runner/internal/bridge/jsonrpc"
)

// What a pool makes of the messages that pass.

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
	p.replies.send(p.tasks, p.log, func(ctx context.Context) error { return p.process.Send(ctx, declined(&m)) })
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
