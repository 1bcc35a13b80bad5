package registry

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/drengskapur/fastmcp-runner/internal/secret"
)

const maxRedirects = 10

// get asks the registry, authenticates, and follows redirects.
func (s *session) get(ctx context.Context, u *url.URL, header http.Header) (*http.Response, error) {
	return s.follow(u, func(u *url.URL) (*http.Response, error) { return s.ask(ctx, u, header) })
}

// getForeign does the same without credentials, whoever is asked.
func (s *session) getForeign(ctx context.Context, u *url.URL, header http.Header) (*http.Response, error) {
	return s.follow(u, func(u *url.URL) (*http.Response, error) { return s.sendAs(ctx, getRequest(u, header), secret.Value{}) })
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

func (s *session) sendAs(ctx context.Context, req *http.Request, authorization secret.Value) (*http.Response, error) {
	req = req.Clone(ctx)
	if !authorization.Empty() {
		req.Header.Set("Authorization", authorization.Reveal())
	}
	return s.send(ctx, req)
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
