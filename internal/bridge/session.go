package bridge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/drengskapur/fastmcp-runner/internal/bridge/jsonrpc"
)

const (
	// maxCalls bounds the requests of one session that are in flight.
	maxCalls = 256
	// maxStanding bounds the standing streams that a session has open.
	maxStanding = 16
	// maxBacklog and maxBacklogBytes bound what waits for a first stream.
	maxBacklog      = 256
	maxBacklogBytes = 1 << 20
)

// server is what a session has at its other end: a child.Process, or a share
// in one.
type server interface {
	Send(ctx context.Context, message []byte) error
	Stop(grace time.Duration)
	Exited() <-chan struct{}
	Done() <-chan struct{}
	Err() error
	LastWords() string
	PID() int
}

// session is one client and its server.
type session struct {
	id     string
	number uint64 // what the log calls it: the id is a secret
	log    *slog.Logger
	box    *outbox
	// ready is closed when the child runs, or when it is clear that it will
	// not: then failed says why.
	ready  chan struct{}
	failed error
	// tasks are those of the bridge, of which the session is one.
	tasks *sync.WaitGroup
	// only is the stream for everything, of a session by HTTP+SSE.
	only *stream
	// hook, if set, gets what the server sends by itself, with the lock held.
	hook func(*session, jsonrpc.Message)

	// The rest is guarded by box.mu.

	server       server  // set once, before ready is closed
	calls        []*call // those in flight, the newest last
	standing     []*stream
	backlog      []jsonrpc.Message
	backlogBytes int
	begun        bool   // the server has agreed to begin
	version      string // the revision that it has agreed to
	proved       bool   // it has answered more than initialize
	seen         time.Time
	idle         *time.Timer
	// ended is why the session ended; nil while it goes on. It is set before
	// the child is ended, so that this is no crash.
	ended error
}

// call is a request in flight.
type call struct {
	key    string // of the id
	id     []byte
	token  string // the key of its progress token; empty if it has none
	method string
	stream *stream
	// answered, if set, gets the answer instead of the stream.
	answered func(jsonrpc.Message)
}

func newCall(m *jsonrpc.Message, st *stream) *call {
	return &call{key: m.Key(m.ID), id: m.Bytes(m.ID), token: m.Key(m.Token), method: m.Method, stream: st}
}

// errDuplicate says that the id of a request is that of one in flight: two
// answers could not be told apart.
var errDuplicate = errors.New("a request with the same id is in flight")

// errBusy says that a client asks too much at once.
var errBusy = fmt.Errorf("more than %d requests are in flight", maxCalls)

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
	requests := slices.DeleteFunc(slices.Clone(messages), func(m jsonrpc.Message) bool { return m.Kind != jsonrpc.Request })
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
	for i := range requests {
		s.calls = append(s.calls, newCall(&requests[i], st))
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
		if err := s.server.Send(ctx, m.Raw); err != nil {
			s.failUnsent(messages[i:], err)
			return err
		}
		if m.Method == "notifications/cancelled" {
			s.cancel(m.Key(m.Cancels))
		}
	}
	return nil
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
	s.forget(c)
	if c.stream == s.only {
		return // it goes on
	}
	if c.stream.open--; c.stream.open == 0 {
		c.stream.end()
	}
}

// receive takes a message of the server to its place.
func (s *session) receive(m jsonrpc.Message) {
	s.box.mu.Lock()
	defer s.box.mu.Unlock()
	if m.Kind == jsonrpc.Response {
		s.answer(m)
	} else if s.hook != nil {
		s.hook(s, m)
	} else if st := s.streamFor(&m); st != nil {
		st.add(m.Raw, false)
	} else {
		s.wait(m)
	}
	if s.hook == nil {
		s.box.awaitRoom()
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
	s.forget(c)
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
	s.forget(c)
	failure := jsonrpc.Failure(c.id, jsonrpc.CodeInternal, err.Error(), nil)
	if c.answered != nil {
		m, err := jsonrpc.Parse(failure)
		if err != nil {
			panic("internal error: " + err.Error())
		}
		c.answered(m)
		return
	}
	c.stream.add(failure, c.stream != s.only)
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

// streamFor returns the one stream that a message of the server belongs on
// that answers nothing; nil if it has to wait. The lock is held.
//
// Progress belongs to the request that gave out its token. Nothing else says
// where it comes from: most likely it is from the newest request, and it is
// better sent to where somebody reads.
func (s *session) streamFor(m *jsonrpc.Message) *stream {
	if s.only != nil {
		return s.only
	}
	if token := m.Key(m.Token); token != "" {
		if c := s.find(func(c *call) bool { return c.token == token }); c != nil && c.stream != nil {
			return c.stream
		}
	}
	// What is sent before the session has begun waits: the answer to
	// initialize then is plain JSON, which every client understands.
	if !s.begun {
		return nil
	}
	if c := s.find(func(c *call) bool { return c.stream != nil && c.stream.reader != nil }); c != nil {
		return c.stream
	}
	if len(s.standing) > 0 {
		return s.standing[len(s.standing)-1]
	}
	if c := s.find(func(c *call) bool { return c.stream != nil }); c != nil {
		return c.stream // the client may come back to it
	}
	return nil
}

// wait keeps a message until there is a stream for it. The lock is held.
func (s *session) wait(m jsonrpc.Message) {
	s.backlog = append(s.backlog, m)
	s.backlogBytes += len(m.Raw)
	for len(s.backlog) > maxBacklog || s.backlogBytes > maxBacklogBytes && len(s.backlog) > 1 {
		s.log.Warn("Dropped a message of the server: the client does not listen", "method", s.backlog[0].Method)
		s.backlogBytes -= len(s.backlog[0].Raw)
		s.backlog = slices.Delete(s.backlog, 0, 1)
	}
}

// flushBacklog puts what waited on a stream. The lock is held.
func (s *session) flushBacklog(st *stream) {
	if !s.begun {
		return
	}
	for _, m := range s.backlog {
		st.add(m.Raw, false)
	}
	s.backlog, s.backlogBytes = nil, 0
}

// listen opens a standing stream.
func (s *session) listen() (*stream, *reader) {
	s.box.mu.Lock()
	defer s.box.mu.Unlock()
	st := s.box.newStream(0)
	return st, s.stand(st, 0)
}

// stand attaches a reader to a standing stream. The lock is held.
func (s *session) stand(st *stream, after uint64) *reader {
	if !slices.Contains(s.standing, st) {
		s.standing = append(s.standing, st)
	}
	if len(s.standing) > maxStanding {
		s.leave(s.standing[0], s.standing[0].reader)
	}
	me := st.attach(after)
	s.flushBacklog(st)
	return me
}

// resume attaches a reader to a stream that a client has read before. A
// standing stream that is not known any more begins anew.
func (s *session) resume(lastEventID string) (*stream, *reader, bool) {
	number, sequence, standing, ok := parseEventID(lastEventID)
	if !ok {
		return nil, nil, false
	}
	s.box.mu.Lock()
	defer s.box.mu.Unlock()
	st := s.box.streams[number]
	switch {
	case st != nil && (st.standing != standing || sequence > st.last):
		return nil, nil, false
	case st == nil && !standing:
		return nil, nil, false
	case st == nil:
		st, sequence = s.box.newStream(0), 0
	}
	if standing {
		return st, s.stand(st, sequence), true
	}
	return st, st.attach(sequence), true
}

// release takes a reader from its stream when its connection has ended.
func (s *session) release(st *stream, me *reader) {
	s.box.mu.Lock()
	defer s.box.mu.Unlock()
	if st.standing {
		s.leave(st, me)
		return
	}
	st.detach(me)
}

// discard drops a stream of which nothing is left to be read.
func (s *session) discard(st *stream) {
	s.box.mu.Lock()
	defer s.box.mu.Unlock()
	s.box.drop(st)
}

// leave closes a standing stream. What its client has not been sent goes back
// to the backlog, and to whoever listens next. The lock is held.
func (s *session) leave(st *stream, me *reader) {
	if st.reader != me {
		return
	}
	s.standing = slices.DeleteFunc(s.standing, func(other *stream) bool { return other == st })
	for _, data := range st.takeBack() {
		m, err := jsonrpc.Parse(data)
		if err != nil {
			panic("internal error: " + err.Error())
		}
		if other := s.streamFor(&m); other != nil {
			other.add(data, false)
		} else {
			s.wait(m)
		}
	}
	st.detach(me)
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

func (s *session) forget(c *call) {
	s.calls = slices.DeleteFunc(s.calls, func(other *call) bool { return other == c })
}

// touch notes that the client is there.
func (s *session) touch() {
	s.box.mu.Lock()
	defer s.box.mu.Unlock()
	s.seen = time.Now()
}

// guardIdle calls a function when the client has not sent anything for a time.
func (s *session) guardIdle(limit time.Duration, expire func()) {
	s.box.mu.Lock()
	defer s.box.mu.Unlock()
	s.idle = time.AfterFunc(limit, func() {
		if left := limit - s.idleFor(); left > 0 {
			s.idle.Reset(left)
			return
		}
		expire()
	})
}

// idleFor returns for how long the client has not sent anything. While it
// waits for an answer it is not idle; a stream that merely stands open does
// not count, since nobody can tell whether somebody is at its other end.
func (s *session) idleFor() time.Duration {
	s.box.mu.Lock()
	defer s.box.mu.Unlock()
	if s.find(func(c *call) bool { return c.stream != nil && c.stream.reader != nil }) != nil {
		return 0
	}
	return time.Since(s.seen)
}

// progress returns how far the session has come.
func (s *session) progress() (begun, proved, busy bool, version string) {
	s.box.mu.Lock()
	defer s.box.mu.Unlock()
	return s.begun, s.proved, len(s.calls) > 0, s.version
}

// adopt gives the session its server. A session that has ended meanwhile says
// why: its server is to be ended as well.
func (s *session) adopt(p server) error {
	s.box.mu.Lock()
	defer s.box.mu.Unlock()
	s.server = p
	return s.ended
}

// close notes why the session ends, unless it has ended before, and returns
// its server if it has one.
func (s *session) close(why error) (p server, first bool) {
	s.box.mu.Lock()
	defer s.box.mu.Unlock()
	if s.ended != nil {
		return nil, false
	}
	s.ended = why
	s.box.hurry()
	if s.idle != nil {
		s.idle.Stop()
	}
	return s.server, true
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
