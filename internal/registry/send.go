package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// maxDiscardBytes is how much of an unwanted answer is read to keep its
// connection; beyond it a new connection is cheaper.
const maxDiscardBytes = 64 << 10

// send makes one exchange, watched: a connection that is silent for too long is
// cut, be it while dialling, before the answer or in the midst of its body.
func (s *session) send(ctx context.Context, req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	stalled := fmt.Errorf("no data for %s", s.stall)
	watchdog := time.AfterFunc(s.stall, func() { cancel(stalled) })
	req = req.WithContext(ctx)
	if s.userAgent != "" {
		req.Header.Set("User-Agent", s.userAgent)
	}
	resp, err := s.http.Do(req)
	watchdog.Stop()
	fault := func(err error) error {
		if errors.Is(context.Cause(ctx), stalled) {
			err = stalled
		}
		if refused, ok := errors.AsType[*hintedError](err); ok {
			return refused
		}
		return &linkError{host: req.URL.Host, err: withoutURL(err)}
	}
	if err != nil {
		defer cancel(nil)
		return nil, fault(err)
	}
	resp.Body = &watchedBody{
		ReadCloser: resp.Body,
		watchdog:   watchdog,
		stall:      s.stall,
		fault:      fault,
		release:    func() { cancel(nil) },
	}
	return resp, nil
}

// withoutURL strips the URL that net/http puts around its errors: a presigned
// one is a credential.
func withoutURL(err error) error {
	if around, ok := errors.AsType[*url.Error](err); ok {
		return around.Err
	}
	return err
}

// watchedBody is the body of an answer under its exchange's watchdog, which runs
// only during a Read: a reader that takes its time is not a stalled server.
type watchedBody struct {
	io.ReadCloser
	watchdog *time.Timer
	stall    time.Duration
	fault    func(error) error
	release  func()
}

// Read reads, or fails when nothing comes for the time of the watchdog.
func (b *watchedBody) Read(p []byte) (int, error) {
	b.watchdog.Reset(b.stall)
	n, err := b.ReadCloser.Read(p)
	b.watchdog.Stop()
	if err != nil && !errors.Is(err, io.EOF) {
		err = b.fault(err)
	}
	return n, err
}

// Close ends the exchange.
func (b *watchedBody) Close() error {
	b.watchdog.Stop()
	err := b.ReadCloser.Close()
	b.release()
	return err
}

// discard closes an answer that nobody wants to read, and keeps its connection
// if little is left of it. Its errors are of no consequence to anyone.
func discard(body io.ReadCloser) {
	_, _ = io.CopyN(io.Discard, body, maxDiscardBytes)
	_ = body.Close()
}

// readAll reads and closes an answer of at most limit bytes.
func readAll(body io.ReadCloser, limit int64) ([]byte, error) {
	defer discard(body)
	content, err := io.ReadAll(io.LimitReader(body, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(content)) > limit {
		return nil, fmt.Errorf("the answer is larger than %d bytes", limit)
	}
	return content, nil
}

// newRequest returns a request that sendAs or send gives its context.
func newRequest(method string, u *url.URL) *http.Request {
	return &http.Request{Method: method, URL: u, Host: u.Host, Header: http.Header{}}
}

func getRequest(u *url.URL, header http.Header) *http.Request {
	req := newRequest(http.MethodGet, u)
	maps.Copy(req.Header, header)
	return req
}

func setBody(req *http.Request, body string) {
	req.Body = io.NopCloser(strings.NewReader(body))
	req.ContentLength = int64(len(body))
}
