package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
)

const (
	maxRedirects = 10
	// maxDiscardBytes is how much of an unwanted answer is read to keep its
	// connection; beyond it a new connection is cheaper.
	maxDiscardBytes = 64 << 10
)

// session is the conversation with one registry about one repository.
type session struct {
	base      *url.URL // Scheme and host of the registry.
	repo      string
	auth      *authorizer
	anonymous bool
	http      *http.Client
	userAgent string
	stall     time.Duration
	log       *slog.Logger
}

// connect finds out how the registry wants to be spoken to. It asks for /v2/
// (distribution spec, "Determining Support"), because that alone shows both the
// scheme and the challenge even where anonymous readers are let in further on.
func (c *Client) connect(ctx context.Context, repo name.Repository, l login) (*session, error) {
	host := strings.ToLower(repo.RegistryStr())
	s := &session{
		base: &url.URL{Scheme: "https", Host: host},
		repo: repo.RepositoryStr(),
		http: &http.Client{
			Transport:     &guard{registry: host, insecure: c.insecure, next: c.transport},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		anonymous: l.anonymous(),
		userAgent: c.userAgent,
		stall:     c.stall,
		log:       c.log,
	}
	s.auth = newAuthorizer(l, repo.Scope("pull"), s.exchange)
	_, err := retry(ctx, c.log, func() (struct{}, error) {
		return struct{}{}, s.ping(ctx, c.insecure.plainAllowed(host))
	})
	return s, err
}

// ping settles the scheme and answers the first challenge.
func (s *session) ping(ctx context.Context, plainAllowed bool) error {
	s.base.Scheme = "https"
	resp, err := s.send(ctx, newRequest(http.MethodGet, s.url("/v2/"))) //nolint:bodyclose // discard closes it
	if err != nil && plainAllowed && s.speaksPlain(err) {
		s.base.Scheme = "http"
		resp, err = s.send(ctx, newRequest(http.MethodGet, s.url("/v2/"))) //nolint:bodyclose // discard closes it
	}
	if err != nil {
		return err
	}
	defer discard(resp.Body)
	status := &statusError{code: resp.StatusCode}
	switch {
	case resp.StatusCode == http.StatusUnauthorized:
		_, err := s.auth.renew(ctx, resp.Header, s.auth.current())
		return err
	case status.temporary():
		return newStatusError(resp, "registry", "the registry")
	default: // Whether it lets us in, the manifest shows.
		return nil
	}
}

// speaksPlain reports whether a host that failed with err over HTTPS may speak
// plain HTTP: it did so, or nobody listens at the default port of HTTPS.
func (s *session) speaksPlain(err error) bool {
	return errors.Is(err, http.ErrSchemeMismatch) ||
		errors.Is(err, syscall.ECONNREFUSED) && s.base.Port() == ""
}

// url returns the URL of a path at the registry.
func (s *session) url(path string) *url.URL {
	return s.base.JoinPath(path)
}

// get asks the registry, authenticates, and follows redirects. It does not
// leave them to http.Client, which sends Authorization to subdomains and other
// ports of a host, and quotes presigned URLs in its errors.
func (s *session) get(ctx context.Context, u *url.URL, header http.Header) (*http.Response, error) {
	return s.follow(u, func(u *url.URL) (*http.Response, error) { return s.ask(ctx, u, header) })
}

// getForeign does the same without credentials, whoever is asked.
func (s *session) getForeign(ctx context.Context, u *url.URL, header http.Header) (*http.Response, error) {
	return s.follow(u, func(u *url.URL) (*http.Response, error) { return s.sendAs(ctx, getRequest(u, header), "") })
}

func (s *session) follow(u *url.URL, ask func(*url.URL) (*http.Response, error)) (*http.Response, error) {
	for range maxRedirects {
		resp, err := ask(u)
		if err != nil || !isRedirect(resp.StatusCode) {
			return resp, err
		}
		discard(resp.Body)
		if u, err = redirectTarget(resp); err != nil {
			return nil, err
		}
		s.log.Debug("Registry redirects", "host", u.Host)
	}
	return nil, fmt.Errorf("the registry redirects more than %d times", maxRedirects)
}

func isRedirect(code int) bool {
	switch code {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther,
		http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	default:
		return false
	}
}

func redirectTarget(resp *http.Response) (*url.URL, error) {
	from := resp.Request.URL
	to, err := resp.Location()
	if err != nil { // Its text quotes the URL, which may be a presigned one.
		return nil, fmt.Errorf("%s redirects to something that is no URL", from.Host)
	}
	if from.Scheme == "https" && to.Scheme != "https" {
		return nil, fmt.Errorf("%s redirects from HTTPS to plain HTTP at %q, which is refused", from.Host, to.Host)
	}
	to.User = nil // http.Client would send it as credentials.
	return to, nil
}

// ask makes one exchange, with credentials if and only if it is with the
// registry itself; when they are refused, once more with renewed ones.
func (s *session) ask(ctx context.Context, u *url.URL, header http.Header) (*http.Response, error) {
	req := getRequest(u, header)
	if u.Scheme != s.base.Scheme || u.Host != s.base.Host {
		return s.send(ctx, req)
	}
	authorization := s.auth.current()
	resp, err := s.sendAs(ctx, req, authorization)
	if err != nil || resp.StatusCode != http.StatusUnauthorized {
		return resp, err
	}
	renewed, err := s.auth.renew(ctx, resp.Header, authorization)
	if err == nil && !renewed {
		return resp, nil
	}
	discard(resp.Body)
	if err != nil {
		return nil, err
	}
	return s.sendAs(ctx, req, s.auth.current())
}

func (s *session) sendAs(ctx context.Context, req *http.Request, authorization Secret) (*http.Response, error) {
	req = req.Clone(ctx)
	if authorization != "" {
		req.Header.Set("Authorization", string(authorization))
	}
	return s.send(ctx, req)
}

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

// failure turns an answer that is not the object asked for into an error.
func (s *session) failure(resp *http.Response, object string) error {
	host := resp.Request.URL.Host
	if host == s.base.Host {
		return newStatusError(resp, object, "the registry")
	}
	e := newStatusError(resp, object, host)
	e.redirected = true
	return e
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
