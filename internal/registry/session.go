package registry

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
)

// session is the conversation with one registry about one repository.
type session struct {
	base      *url.URL // Scheme and host of the registry.
	repo      string
	auth      *authorizer
	anonymous bool
	transport *guard
	separate  *guard
	userAgent string
	stall     time.Duration
	delay     time.Duration
	ranges    Ranges
	budget    *budget
	log       *slog.Logger
}

// connect finds out how the registry wants to be spoken to. It asks for /v2/
// (distribution spec, "Determining Support"), because that alone shows both the
// scheme and the challenge even where anonymous readers are let in further on.
func (c *Client) connect(ctx context.Context, repo name.Repository, l login) (*session, error) {
	host := strings.ToLower(repo.RegistryStr())
	s := &session{
		base:      &url.URL{Scheme: "https", Host: host},
		repo:      repo.RepositoryStr(),
		transport: &guard{registry: host, insecure: c.insecure, next: c.transport},
		separate:  &guard{registry: host, insecure: c.insecure, next: c.separate},
		anonymous: l.anonymous(),
		userAgent: c.userAgent,
		stall:     c.stall,
		delay:     c.delay,
		ranges:    c.ranges,
		budget:    c.budget,
		log:       c.log,
	}
	s.auth = newAuthorizer(l, repo.Scope("pull"), s.exchange)
	p := newPatience(c.delay, c.log)
	p.stranger = true
	_, err := retry(ctx, p, func() (struct{}, error) {
		return struct{}{}, s.ping(ctx, c.insecure.plainAllowed(host))
	})
	return s, err
}

// separately returns the session for exchanges of which each is to have a
// connection of its own.
func (s *session) separately() *session {
	separate := *s
	separate.transport = s.separate
	return &separate
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
	return isNoTLS(err) ||
		errors.Is(err, syscall.ECONNREFUSED) && s.base.Port() == ""
}

// url returns the URL of a path at the registry.
func (s *session) url(path string) *url.URL {
	return &url.URL{Scheme: s.base.Scheme, Host: s.base.Host, Path: path}
}
