package bridge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/drengskapur/fastmcp-runner/internal/bridge/jsonrpc"
)

// maxCalls bounds the requests of one session that are in flight.
const maxCalls = 256

// call is a request in flight.
type call struct {
	key    string // of the id
	id     []byte
	token  string // the key of its progress token; empty if it has none
	method string
	stream *stream
	began  time.Time // zero if the request is ours
	// answered, if set, gets the answer instead of the stream.
	answered func(jsonrpc.Message)
}

func newCall(m *jsonrpc.Message, st *stream) *call {
	// The id is cloned, so that a call in flight does not hold the whole request.
	return &call{key: m.Key(m.ID), id: bytes.Clone(m.Bytes(m.ID)), token: m.Key(m.Token), method: m.Method, stream: st}
}

// errDuplicate says that the id of a request is that of one in flight: two
// answers could not be told apart.
var errDuplicate = errors.New("a request with the same id is in flight")

// errBusy says that a client asks too much at once.
var errBusy = fmt.Errorf("more than %d requests are in flight", maxCalls)

func requestsAmong(messages []jsonrpc.Message) []jsonrpc.Message {
	isOther := func(m jsonrpc.Message) bool { return m.Kind != jsonrpc.Request }
	if !slices.ContainsFunc(messages, isOther) {
		return messages
	}
	return slices.DeleteFunc(slices.Clone(messages), isOther)
}

// open registers requests and returns the stream for what they cause, with a
// reader. The caller does not hold the lock, as in all methods of a session
// that do not say so.
func (s *session) open(requests []jsonrpc.Message) (*stream, *reader, error) {
	s.box.mu.Lock()
	defer s.box.mu.Unlock()
	if err := s.admit(requests); err != nil {
		return nil, nil, err
	}
	st := s.box.newStream(len(requests))
	s.register(requests, st)
	me := st.attach(0)
	s.flushBacklog(st)
	return st, me, nil
}

// expect registers the requests among messages whose answers go where all
// goes.
func (s *session) expect(messages []jsonrpc.Message) error {
	requests := requestsAmong(messages)
	s.box.mu.Lock()
	defer s.box.mu.Unlock()
	if err := s.admit(requests); err != nil {
		return err
	}
	s.register(requests, s.only)
	return nil
}

// register notes that requests are in flight. The lock is held.
func (s *session) register(requests []jsonrpc.Message, st *stream) {
	now := time.Now()
	for i := range requests {
		c := newCall(&requests[i], st)
		c.began = now
		s.givenUp = slices.DeleteFunc(s.givenUp, func(token string) bool { return token == c.token })
		s.calls = append(s.calls, c)
	}
}

// admit says whether requests can be registered. The lock is held.
func (s *session) admit(requests []jsonrpc.Message) error {
	if s.ended != nil {
		return s.ended
	}
	if len(s.calls)+len(requests) > maxCalls {
		return errBusy
	}
	for i := range requests {
		key := requests[i].Key(requests[i].ID)
		same := func(other jsonrpc.Message) bool { return other.Key(other.ID) == key }
		if s.callWithID(key) != nil || slices.ContainsFunc(requests[:i], same) {
			return errDuplicate
		}
	}
	return nil
}

// forward sends messages of the client to the server. What cannot be sent is
// answered, if it is a request: the client waits for that.
func (s *session) forward(ctx context.Context, messages []jsonrpc.Message) error {
	for i := range messages {
		m := &messages[i]
		if err := s.send(ctx, m.Raw); err != nil {
			s.failUnsent(messages[i:], err)
			return err
		}
		if m.Method == "notifications/cancelled" {
			s.cancel(m.Key(m.Cancels))
		}
	}
	return nil
}

// send sends a message of the client to the server.
func (s *session) send(ctx context.Context, message []byte) error {
	if err := s.transit.take(len(message)); err != nil {
		return err
	}
	defer s.transit.give(len(message))
	return s.server.Send(ctx, message)
}

func (s *session) failUnsent(messages []jsonrpc.Message, err error) {
	select {
	case <-s.server.Done():
		return // finish answers, and knows more
	default:
	}
	s.box.mu.Lock()
	defer s.box.mu.Unlock()
	for i := range messages {
		if c := s.callWithID(messages[i].Key(messages[i].ID)); c != nil && messages[i].Kind == jsonrpc.Request {
			s.fail(c, err)
		}
	}
}

// cancel ends the stream of a request that its client has given up: the
// server will probably never answer it.
func (s *session) cancel(key string) {
	s.box.mu.Lock()
	defer s.box.mu.Unlock()
	c := s.callWithID(key)
	if c == nil || c.method == "initialize" {
		return
	}
	s.forget(c, cancelled)
	s.giveUp(c.token)
	if c.stream == s.only {
		return // it goes on
	}
	if c.stream.open--; c.stream.open == 0 {
		c.stream.end()
	}
}

// giveUp notes that nobody waits for the progress of a request. The lock is
// held.
func (s *session) giveUp(token string) {
	if token == "" {
		return
	}
	s.givenUp = append(s.givenUp, token)
	if len(s.givenUp) > maxCalls {
		s.givenUp = slices.Delete(s.givenUp, 0, 1)
	}
}

// answer takes a response to its request. The lock is held.
func (s *session) answer(m jsonrpc.Message) {
	c := s.callWithID(m.Key(m.ID))
	if c == nil {
		// Answers to cancelled requests are no fault (basic/utilities/cancellation).
		s.log.Debug("The server answers a request that is not in flight", "id", string(m.Bytes(m.ID)))
		return
	}
	outcome := succeeded
	if m.Result.Absent() {
		outcome = refused
	}
	s.forget(c, outcome)
	switch {
	case c.method != "initialize":
		s.proved = true
	case !m.Result.Absent():
		s.begun = true
		s.version = m.Text(m.Field(m.Result, "protocolVersion"))
	}
	if c.answered != nil {
		c.answered(m)
		return
	}
	c.stream.add(m.Raw, c.stream != s.only)
}

// fail answers a request in the place of the server. The lock is held.
func (s *session) fail(c *call, err error) {
	s.forget(c, failed)
	m := failure(c.id, err)
	if c.answered != nil {
		c.answered(m)
		return
	}
	c.stream.add(m.Raw, c.stream != s.only)
}

// failure returns the answer to a request that does not reach its server, or
// whose answer does not come.
func failure(id []byte, err error) jsonrpc.Message {
	return parsed(jsonrpc.Failure(id, jsonrpc.CodeInternal, err.Error(), nil))
}

// parsed returns a message of ours, or one that was read before.
func parsed(raw []byte) jsonrpc.Message {
	m, err := jsonrpc.Parse(raw)
	if err != nil {
		panic("internal error: " + err.Error())
	}
	return m
}

// lost answers the request whose answer was dropped for its length; all, if
// it is not known which one it was.
func (s *session) lost(key string, err error) {
	s.box.mu.Lock()
	defer s.box.mu.Unlock()
	err = fmt.Errorf("the answer of the server is lost: %w", err)
	for _, c := range slices.Clone(s.calls) {
		if key == "" || c.key == key {
			s.fail(c, err)
		}
	}
}

// find returns the newest call in flight of which something is true. The lock
// is held.
func (s *session) find(is func(*call) bool) *call {
	for _, c := range slices.Backward(s.calls) {
		if is(c) {
			return c
		}
	}
	return nil
}

func (s *session) callWithID(key string) *call {
	return s.find(func(c *call) bool { return c.key == key })
}

// forget takes a request off the list, and counts it, if it was on it. The lock
// is held.
func (s *session) forget(c *call, o outcome) {
	i := slices.Index(s.calls, c)
	if i < 0 {
		return
	}
	s.calls = slices.Delete(s.calls, i, i+1)
	if s.only != nil {
		s.seen = time.Now() // release does so for the others
	}
	if !c.began.IsZero() {
		s.stats.over(c.method, o, time.Since(c.began))
	}
}

// finish answers all that is in flight when the child has ended, and ends all
// streams.
func (s *session) finish(err error) {
	s.box.mu.Lock()
	defer s.box.mu.Unlock()
	if s.box.closed {
		return
	}
	for _, c := range slices.Clone(s.calls) {
		s.fail(c, err)
	}
	s.box.close()
}
