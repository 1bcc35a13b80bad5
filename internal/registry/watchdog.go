package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// watchdog cancels the context of an exchange that is silent for too long.
type watchdog struct {
	timer   *time.Timer
	limit   time.Duration
	stalled error
	cause   func() error // Why the context was cancelled; nil: it was not.
	cancel  context.CancelCauseFunc
}

// watch returns a context under a watchdog that is awake. Its owner must call
// leave in the end.
func watch(ctx context.Context, limit time.Duration) (context.Context, *watchdog) {
	ctx, cancel := context.WithCancelCause(ctx)
	d := &watchdog{
		limit:   limit,
		stalled: fmt.Errorf("no data for %s", limit),
		cause:   func() error { return context.Cause(ctx) },
		cancel:  cancel,
	}
	d.timer = time.AfterFunc(limit, func() { cancel(d.stalled) })
	return ctx, d
}

func (d *watchdog) wake()  { d.timer.Reset(d.limit) }
func (d *watchdog) rest()  { d.timer.Stop() }
func (d *watchdog) leave() { d.rest(); d.cancel(nil) }

// reason returns why an exchange ended that ended in err: perhaps the watchdog.
func (d *watchdog) reason(err error) error {
	if errors.Is(d.cause(), d.stalled) {
		return d.stalled
	}
	return err
}

// watchedBody is the body of an answer. Its watchdog is awake only during a
// Read: a reader that takes its time is not a stalled server.
type watchedBody struct {
	io.ReadCloser
	dog  *watchdog
	host string
}

// Read reads, or fails when nothing comes for the time of the watchdog.
func (b *watchedBody) Read(p []byte) (int, error) {
	b.dog.wake()
	n, err := b.ReadCloser.Read(p)
	b.dog.rest()
	if err == nil {
		return n, nil
	}
	if err = b.dog.reason(err); errors.Is(err, io.EOF) {
		return n, io.EOF
	}
	return n, linkFault(b.host, err)
}

// Close ends the exchange.
func (b *watchedBody) Close() error {
	defer b.dog.leave()
	return b.ReadCloser.Close()
}
