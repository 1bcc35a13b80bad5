package bridge

import (
	"errors"
	"sync/atomic"
)

const (
	// trusted is how much memory a request gets unasked.
	trusted = 64 << 10
	// maxTransit is how many of the largest bodies may be underway at once.
	maxTransit = 4
)

// errCrowded says that there is no memory for another large request.
var errCrowded = errors.New("too many large requests are underway")

// transit bounds the memory that large requests take while they are read, and
// while they wait for a server to read them: neither the clients nor the
// servers may take their time with all of it.
type transit struct{ free atomic.Int64 }

func newTransit(maxBody int64) *transit {
	t := &transit{}
	t.free.Store(maxTransit * maxBody)
	return t
}

// take takes memory for a part of a request, if there is any left.
func (t *transit) take(n int) error {
	if n > trusted && t.free.Add(-int64(n)) < 0 {
		t.free.Add(int64(n))
		return errCrowded
	}
	return nil
}

// give gives back what was taken.
func (t *transit) give(n int) {
	if n > trusted {
		t.free.Add(int64(n))
	}
}
