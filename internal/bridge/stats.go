package bridge

import (
	"slices"
	"sync/atomic"
	"time"
)

// Stats are what a bridge has counted since it was made.
type Stats struct {
	// Sessions is how many sessions there are, and Opened how many there have
	// been. Those that no client knows of are among them.
	Sessions int
	Opened   uint64
	// Children is how many child processes run, Starts how many were started,
	// and Crashes how many ended by themselves.
	Children        int
	Starts, Crashes uint64
	// Failing says that the server does not start: in a crash loop.
	Failing bool
	// InFlight is how many requests of clients wait for the server.
	InFlight int
	// Calls are the requests of clients that are over, by their method.
	Calls []CallStats
	// Received and Sent are the bytes of the bodies of requests and answers.
	Received, Sent uint64
	// Refused are the requests that were not let in, by the reason.
	Refused map[string]uint64
}

// CallStats are the requests with one method that are over.
type CallStats struct {
	// Method is a method of MCP, or "other".
	Method string
	// Outcomes are how many had which outcome.
	Outcomes map[string]uint64
	// Took is how long they took together.
	Took time.Duration
	// Within are how many of them took at most as long as each of
	// DurationBounds.
	Within []uint64
}

// DurationBounds are those by which the durations of calls are counted.
func DurationBounds() []time.Duration {
	const ms = time.Millisecond
	return []time.Duration{
		ms, 2500 * time.Microsecond, 5 * ms, 10 * ms, 25 * ms, 50 * ms, 100 * ms, 250 * ms, 500 * ms,
		time.Second, 2500 * ms, 5 * time.Second, 10 * time.Second, 30 * time.Second, time.Minute,
	}
}

// outcome is what became of a request.
type outcome int

const (
	// succeeded: the server has answered by a result.
	succeeded outcome = iota
	// refused: the server has answered by an error.
	refused
	// failed: the bridge has answered, because the server could not.
	failed
	// cancelled: the client has given it up.
	cancelled
	outcomeCount
)

func (o outcome) String() string {
	return [...]string{"success", "error", "failure", "cancelled"}[o]
}

// refusal is why a request was not let in.
type refusal int

const (
	// refusedOrigin: it comes from elsewhere.
	refusedOrigin refusal = iota
	// refusedToken: it has no token, or not the right one.
	refusedToken
	// refusedFull: there are as many sessions or calls as there may be.
	refusedFull
	// refusedFailing: the server is in a crash loop.
	refusedFailing
	// refusedQueue: too many wait for their server to be started.
	refusedQueue
	// refusedBody: its body is too large, or no message.
	refusedBody
	refusalCount
)

func (r refusal) String() string {
	return [...]string{"origin", "token", "full", "failing", "queue", "body"}[r]
}

// methods are the requests that clients make (of all revisions of MCP). Others
// are counted together: a client could invent any number of them.
func methods() []string {
	return []string{
		"tools/call", "tools/list", "initialize", "ping", "resources/read", "resources/list", "resources/templates/list",
		"resources/subscribe", "resources/unsubscribe", "prompts/get", "prompts/list", "completion/complete", "logging/setLevel",
		"server/discover", "subscriptions/listen", "tasks/get", "tasks/list", "tasks/result", "tasks/cancel", "tasks/update", "other",
	}
}

// stats counts without a lock.
type stats struct {
	methods  []string
	bounds   []time.Duration
	calls    []callStats // one for each method
	starts   atomic.Uint64
	crashes  atomic.Uint64
	received atomic.Uint64
	sent     atomic.Uint64
	refused  [refusalCount]atomic.Uint64
}

type callStats struct {
	outcomes [outcomeCount]atomic.Uint64
	took     atomic.Int64 // nanoseconds
	within   []atomic.Uint64
}

func newStats() *stats {
	s := &stats{methods: methods(), bounds: DurationBounds()}
	s.calls = make([]callStats, len(s.methods))
	for i := range s.calls {
		s.calls[i].within = make([]atomic.Uint64, len(s.bounds))
	}
	return s
}

// over counts a request that is over.
func (s *stats) over(method string, o outcome, took time.Duration) {
	i := slices.Index(s.methods, method)
	if i < 0 {
		i = len(s.methods) - 1
	}
	c := &s.calls[i]
	c.outcomes[o].Add(1)
	c.took.Add(int64(took))
	if i, _ := slices.BinarySearch(s.bounds, took); i < len(s.bounds) {
		c.within[i].Add(1)
	}
}

// Stats returns what was counted.
func (b *Bridge) Stats() Stats {
	s := Stats{
		Starts: b.stats.starts.Load(), Crashes: b.stats.crashes.Load(), Failing: b.backoff.looping(),
		Received: b.stats.received.Load(), Sent: b.stats.sent.Load(), Refused: map[string]uint64{},
	}
	for reason := range refusalCount {
		s.Refused[reason.String()] = b.stats.refused[reason].Load()
	}
	for i, method := range b.stats.methods {
		if c := b.stats.calls[i].read(method); c.Outcomes != nil {
			s.Calls = append(s.Calls, c)
		}
	}
	b.mu.Lock()
	s.Sessions, s.Opened = len(b.sessions), b.numbers
	sessions, nursery := b.list(), b.nursery
	b.mu.Unlock()
	for _, session := range sessions {
		s.InFlight += session.inFlight()
	}
	if nursery != nil {
		s.Children = nursery.Children()
	}
	return s
}

// read returns what was counted of a method; without outcomes if it was never
// called.
func (c *callStats) read(method string) CallStats {
	read := CallStats{Method: method, Took: time.Duration(c.took.Load())}
	var total, sum uint64
	for i := range c.within {
		sum += c.within[i].Load()
		read.Within = append(read.Within, sum)
	}
	outcomes := map[string]uint64{}
	for o := range outcomeCount {
		n := c.outcomes[o].Load()
		outcomes[o.String()] = n
		total += n
	}
	if total > 0 {
		read.Outcomes = outcomes
	}
	return read
}

// inFlight returns how many requests of the client wait for the server. Those
// of our own have no beginning.
func (s *session) inFlight() int {
	s.box.mu.Lock()
	defer s.box.mu.Unlock()
	n := 0
	for _, c := range s.calls {
		if !c.began.IsZero() {
			n++
		}
	}
	return n
}
