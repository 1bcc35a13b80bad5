package bridge

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

const (
	// startsPerCPU is how many servers start at once for each CPU: one that
	// reads its files leaves it to another.
	startsPerCPU = 2
	// maxWait is how long a client may have to wait for its server. Many give
	// up after a minute; for those that do not, it is the time in which two
	// CPUs start a hundred servers that each take 2.4 s of a CPU. Whoever
	// gives up leaves the queue, and has cost nothing.
	maxWait = 2 * time.Minute
)

// errNoTurn says that a start was given up before its turn had come.
var errNoTurn = errors.New("the start was given up before its turn came")

// crowdedError says that too many wait already.
type crowdedError struct {
	wait  time.Duration // that there would be
	retry time.Duration // after which there will be room
}

func (e *crowdedError) Error() string {
	return fmt.Sprintf("too many servers wait to be started: this one would be ready in %s, and may wait for %s",
		e.wait.Round(time.Second), maxWait)
}

// gate lets servers start a few at a time, in their order. If all started
// together all would be slow, and none ready before its time is up.
type gate struct {
	cpus int // that this process may use

	mu      sync.Mutex
	running int     // starts
	queue   []*turn // those that wait, the next one first
	// pace is how long the machine takes for one start, when it does nothing
	// else; zero before the first was measured.
	pace time.Duration
	// promised are the times at which others were told to come back, the next
	// one first: as many are let in from then on, whoever they are.
	promised []time.Time
}

func newGate(cpus int) *gate { return &gate{cpus: cpus} }

// rank says whether a start waits for its turn.
type rank int

const (
	inOrder rank = iota
	// urgent is before all that wait: the runner's own question whether the
	// server can serve at all.
	urgent
)

// turn is a start, from when it asks for its place to its end.
type turn struct {
	gate *gate
	come chan struct{} // closed when it may start
	left chan struct{} // closed when it is over

	// The rest is guarded by the lock of the gate.

	began  time.Time
	beside int // starts that ran when it began, itself among them
	over   bool
}

// join takes a place in the queue. The caller calls leave when it needs it no more.
// Who would wait too long is told so by a *crowdedError.
func (g *gate) join(as rank) (*turn, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	at := len(g.queue)
	if as == urgent {
		at = 0
	}
	if wait := g.estimate(at); as != urgent && wait > maxWait && !g.wasPromised() {
		return nil, &crowdedError{wait, g.promise()}
	}
	t := &turn{gate: g, come: make(chan struct{}), left: make(chan struct{})}
	g.queue = slices.Insert(g.queue, at, t)
	g.admit()
	return t, nil
}

// estimate returns when a start behind so many others would be over. The lock
// is held.
func (g *gate) estimate(ahead int) time.Duration {
	return time.Duration(g.running+ahead+1) * g.pace
}

// promise returns after how long another one may come: each when one more has
// started, so that they do not all come together, and none before those that run
// now are over, which may end together. It allows for starts that take a quarter
// longer than the last ones. The lock is held.
func (g *gate) promise() time.Duration {
	now := time.Now()
	last := now.Add(time.Duration(g.running) * g.pace)
	if n := len(g.promised); n > 0 && g.promised[n-1].After(last) {
		last = g.promised[n-1]
	}
	at := last.Add(g.pace * 5 / 4)
	if at.Sub(now) > maxPromise {
		return maxPromise // without one: there are enough
	}
	g.promised = append(g.promised, at)
	return at.Sub(now)
}

// maxPromise is how far ahead somebody is told to come back.
const maxPromise = 10 * time.Minute

// promiseKept is for how long a promise is kept for somebody who does not come.
const promiseKept = time.Minute

// wasPromised says whether somebody may come now who was told to, and takes
// that promise. Starts that became slower meanwhile make it no lie. The lock is
// held.
func (g *gate) wasPromised() bool {
	now := time.Now()
	for len(g.promised) > 0 && now.Sub(g.promised[0]) > promiseKept {
		g.promised = slices.Delete(g.promised, 0, 1)
	}
	if len(g.promised) == 0 || g.promised[0].After(now) {
		return false
	}
	g.promised = slices.Delete(g.promised, 0, 1)
	return true
}

// admit has those start for whom there is room. The lock is held.
func (g *gate) admit() {
	for len(g.queue) > 0 && g.running < startsPerCPU*g.cpus {
		t := g.queue[0]
		g.queue = slices.Delete(g.queue, 0, 1)
		g.running++
		t.began, t.beside = time.Now(), g.running
		close(t.come)
	}
}

// wait waits until the turn has come for somebody who is still there.
func (t *turn) wait(ctx context.Context, closing <-chan struct{}) error {
	select {
	case <-closing:
		return errDown
	case <-ctx.Done():
		return errNoTurn
	case <-t.come:
		if ctx.Err() != nil { // select takes any case that is ready
			return errNoTurn
		}
		return nil
	}
}

// limit ends a start whose server ends or takes too long.
func (t *turn) limit(exited <-chan struct{}, limit time.Duration) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-t.left:
	case <-exited:
	case <-timer.C:
	}
	t.leave(false)
}

// leave ends a start, or gives it up. Only of one that went well the time is
// kept.
func (t *turn) leave(well bool) {
	g := t.gate
	g.mu.Lock()
	defer g.mu.Unlock()
	if t.over {
		return
	}
	t.over = true
	close(t.left)
	if t.began.IsZero() {
		g.queue = slices.DeleteFunc(g.queue, func(other *turn) bool { return other == t })
		return
	}
	if well {
		g.note(time.Since(t.began), max(t.beside, g.running, g.cpus))
	}
	g.running--
	g.admit()
}

// note keeps how long a start took that shared the machine with others. The
// lock is held.
func (g *gate) note(took time.Duration, beside int) {
	pace := took / time.Duration(beside)
	if g.pace > 0 {
		pace = (3*g.pace + pace) / 4
	}
	g.pace = pace
}
