package bridge

import (
	"sync"
	"time"
)

const (
	// loopFailures is how many starts must fail in a row to be a crash loop.
	loopFailures = 3
	maxBackoff   = time.Minute
)

// backoff slows down the starts of a server that does not start.
type backoff struct {
	mu       sync.Mutex
	failures int
	until    time.Time
	last     error
}

// wait returns how long no child is to be started, and why.
func (b *backoff) wait() (time.Duration, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return max(0, time.Until(b.until)), b.last
}

// looping says whether the server is in a crash loop.
func (b *backoff) looping() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.failures >= loopFailures
}

// failed notes that a child did not start.
func (b *backoff) failed(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failures++
	b.last = err
	if excess := b.failures - loopFailures; excess >= 0 {
		b.until = time.Now().Add(min(maxBackoff, time.Second<<min(excess, 10)))
	}
}

// succeeded notes that a child has started.
func (b *backoff) succeeded() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failures, b.until, b.last = 0, time.Time{}, nil
}
