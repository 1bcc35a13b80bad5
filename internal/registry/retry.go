package registry

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"syscall"
	"time"
)

const (
	// maxAttempts is how often a thing is tried without progress.
	maxAttempts = 5
	// maxFirstDials is how often a host that has never answered may refuse the
	// connection, and a name may be unknown: more likely than that the host or
	// this container's resolver is about to start is a slip in a name or port,
	// which should show in seconds.
	maxFirstDials = 4
	// delayGrowth is by how much each pause is longer than the one before.
	delayGrowth = 4
	// maxRetryAfter is the longest pause that a registry may ask for; one that
	// asks for more is an error that says until when.
	maxRetryAfter = 2 * time.Minute
)

// patience counts the attempts at one thing since it last made progress.
type patience struct {
	log      *slog.Logger
	first    time.Duration // The pause before the second attempt.
	stranger bool          // The host has never answered.
	failures int
	since    time.Time
}

func newPatience(first time.Duration, log *slog.Logger) *patience {
	return &patience{log: log, first: first, since: time.Now()}
}

// progress forgets all failures.
func (p *patience) progress() {
	p.failures = 0
	p.since = time.Now()
}

// wait returns nil when the thing that failed with err is due for another
// attempt, and otherwise the error to give up with.
func (p *patience) wait(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if !temporary(err) {
		return err
	}
	p.failures++
	if p.failures >= p.attempts(err) {
		return fmt.Errorf("%w (given up after %d attempts in %s)", err, p.failures, time.Since(p.since).Round(time.Second))
	}
	delay := p.delay(err)
	if delay > maxRetryAfter {
		return err
	}
	p.log.Warn("Registry request failed, trying again", "cause", err.Error(), "wait", delay.Round(time.Millisecond).String())
	return sleep(ctx, delay)
}

// attempts is how often a thing that fails with err is tried.
func (p *patience) attempts(err error) int {
	if isUnknownName(err) || p.stranger && errors.Is(err, syscall.ECONNREFUSED) {
		return maxFirstDials
	}
	return maxAttempts
}

// delay is what the registry asks for, or else grows with the failures. It is
// varied a little, so that a fleet that failed together does not return together.
func (p *patience) delay(err error) time.Duration {
	if status, ok := errors.AsType[*statusError](err); ok && !status.retryAt.IsZero() {
		return max(0, time.Until(status.retryAt))
	}
	delay := p.first
	for range p.failures - 1 {
		delay *= delayGrowth
	}
	return delay + rand.N(delay/4+1) //nolint:gosec // G404: a guessable pause harms nobody
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// retry calls attempt until it succeeds or patience ends.
func retry[T any](ctx context.Context, p *patience, attempt func() (T, error)) (T, error) {
	for {
		v, err := attempt()
		if err == nil {
			return v, nil
		}
		if err := p.wait(ctx, err); err != nil {
			return v, err
		}
	}
}

// linkError is a fault of the way to a host: no connection, or one that broke.
type linkError struct {
	host string
	err  error
}

func (e *linkError) Error() string { return e.host + ": " + e.err.Error() }
func (e *linkError) Unwrap() error { return e.err }

// temporary reports whether the same request may fare better in a while.
func temporary(err error) bool {
	if status, ok := errors.AsType[*statusError](err); ok {
		return status.temporary()
	}
	if _, ok := errors.AsType[*linkError](err); !ok {
		return false
	}
	return !permanentLinkFault(err)
}

func (e *statusError) temporary() bool {
	switch e.code {
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusGone:
		// A storage host says so when the presigned URL that the registry
		// redirected to has expired; the registry gives out another.
		return e.redirected
	default:
		return false
	}
}

// permanentLinkFault reports whether a connection cannot come about as long as
// nobody changes a certificate or a setting.
func permanentLinkFault(err error) bool {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return true
	}
	if _, ok := errors.AsType[tls.AlertError](err); ok {
		return true
	}
	return isNoTLS(err)
}

// isUnknownName reports whether a resolver said that there is no such name. One
// that is not up yet says so too.
func isUnknownName(err error) bool {
	dns, ok := errors.AsType[*net.DNSError](err)
	return ok && dns.IsNotFound
}

// isNoTLS reports whether a host answered a TLS handshake with something else.
func isNoTLS(err error) bool {
	if errors.Is(err, http.ErrSchemeMismatch) {
		return true
	}
	record, ok := errors.AsType[tls.RecordHeaderError](err)
	return ok && record.Conn != nil // It was the first record, so nothing broke midway.
}
