package bridge

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/drengskapur/fastmcp-runner/internal/bridge/jsonrpc"
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
	stats *stats
	// mask hides secrets in what the server says.
	mask func(string) string
	// transit is the memory for what is underway to servers.
	transit *transit
	// only is the stream for everything, of a session by HTTP+SSE.
	only    *stream
	replies replies
	// hook, if set, gets what the server sends by itself, with the lock held.
	hook func(*session, jsonrpc.Message)
	// rank is that of the start of the server.
	rank rank

	// The rest is guarded by box.mu.

	server server  // set once, before ready is closed
	calls  []*call // those in flight, the newest last
	// givenUp are the keys of the progress tokens of requests that the client
	// has cancelled: many servers go on nevertheless.
	givenUp  []string
	standing []*stream
	backlog  backlog // for a first stream
	begun    bool    // the server has agreed to begin
	version  string  // the revision that it has agreed to
	proved   bool    // it has answered more than initialize
	seen     time.Time
	idle     *time.Timer
	// ended is why the session ended; nil while it goes on. It is set before
	// the child is ended, so that this is no crash.
	ended error
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
	if s.ended != nil {
		return
	}
	s.idle = time.AfterFunc(limit, func() {
		if left := limit - s.idleFor(); left > 0 {
			s.idle.Reset(left)
			return
		}
		expire()
	})
}

// idleFor returns for how long the client has not sent anything. While it
// waits for an answer, or reads one, it is not idle; a stream that merely
// stands open does not count, since nobody can tell whether somebody is at its
// other end.
func (s *session) idleFor() time.Duration {
	s.box.mu.Lock()
	defer s.box.mu.Unlock()
	if s.only != nil && len(s.calls) > 0 {
		return 0
	}
	for _, st := range s.box.streams {
		if !st.standing && st.reader != nil {
			return 0
		}
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
