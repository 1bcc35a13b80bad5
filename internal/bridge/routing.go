package bridge

import (
	"log/slog"
	"slices"
	"time"

	"github.com/drengskapur/fastmcp-runner/internal/bridge/jsonrpc"
)

const (
	// maxStanding bounds the standing streams that a session has open.
	maxStanding = 16
	// maxBacklog and maxBacklogBytes bound a backlog.
	maxBacklog      = 256
	maxBacklogBytes = 1 << 20
)

// receive takes a message of the server to its place.
func (s *session) receive(m jsonrpc.Message) {
	s.box.mu.Lock()
	defer s.box.mu.Unlock()
	if m.Kind == jsonrpc.Response {
		s.answer(m)
	} else if s.hook != nil {
		s.hook(s, m)
	} else if slices.Contains(s.givenUp, m.Key(m.Token)) {
		s.log.Debug("Dropped the progress of a request that the client has given up")
	} else if st := s.streamFor(&m); st != nil {
		st.add(m.Raw, false)
	} else {
		s.backlog.add(m, s.log)
	}
	if s.hook == nil {
		s.box.awaitRoom()
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

// backlog are messages of a server that wait for somebody who listens.
type backlog struct {
	messages []jsonrpc.Message
	bytes    int
	warned   bool // that some were dropped
}

// add keeps a message, and drops the oldest when there are too many.
func (b *backlog) add(m jsonrpc.Message, log *slog.Logger) {
	b.messages = append(b.messages, m)
	b.bytes += len(m.Raw)
	for len(b.messages) > maxBacklog || b.bytes > maxBacklogBytes && len(b.messages) > 1 {
		if !b.warned {
			b.warned = true
			log.Warn("Dropped a message of the server, and will drop more: the client does not listen", "method", b.messages[0].Method)
		}
		b.bytes -= len(b.messages[0].Raw)
		b.messages = slices.Delete(b.messages, 0, 1)
	}
}

// take returns all that waits, the oldest first.
func (b *backlog) take() []jsonrpc.Message {
	messages := b.messages
	*b = backlog{}
	return messages
}

// flushBacklog puts what waited on a stream. The lock is held.
func (s *session) flushBacklog(st *stream) {
	if !s.begun {
		return
	}
	for _, m := range s.backlog.take() {
		st.add(m.Raw, false)
	}
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
	s.seen = time.Now()
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
		m := parsed(data)
		if other := s.streamFor(&m); other != nil {
			other.add(data, false)
		} else {
			s.backlog.add(m, s.log)
		}
	}
	st.detach(me)
}
