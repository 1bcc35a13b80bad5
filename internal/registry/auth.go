package registry

import (
	"context"
	"encoding/base64"
	"net/http"
	"slices"
	"sync"

	"github.com/drengskapur/fastmcp-runner/internal/secret"
)

// authorizer keeps the Authorization header of one registry up to date.
type authorizer struct {
	login login
	// exchange gets a bearer token from a token server.
	exchange func(ctx context.Context, l login, bearer challenge, scopes []string) (token, error)

	mu     sync.Mutex   // Held during an exchange, so that concurrent requests share one.
	scopes []string     // The scope asked for last comes first: some servers heed no other.
	header secret.Value // Empty: none.
}

func newAuthorizer(l login, scope string, exchange func(context.Context, login, challenge, []string) (token, error)) *authorizer {
	a := &authorizer{login: l, exchange: exchange, scopes: []string{scope}}
	if !l.registryToken.Empty() {
		a.header = authorization("Bearer", l.registryToken.Reveal())
	}
	return a
}

// current returns the header to send.
func (a *authorizer) current() secret.Value {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.header
}

// renew answers the challenges of a 401 to a request that carried the header
// used. It reports whether there is now another header to try.
func (a *authorizer) renew(ctx context.Context, h http.Header, used secret.Value) (bool, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.header != used {
		return true, nil // A concurrent request was faster.
	}
	if !a.login.registryToken.Empty() {
		return false, nil
	}
	header, err := a.answer(ctx, parseChallenges(h.Values("WWW-Authenticate")))
	if err != nil || header.Empty() || header == a.header {
		return false, err
	}
	a.header = header
	return true, nil
}

// answer prefers Bearer to Basic, because it sends the password to fewer places.
func (a *authorizer) answer(ctx context.Context, offered []challenge) (secret.Value, error) {
	for _, c := range offered {
		if c.scheme == "bearer" && c.params["realm"] != "" {
			return a.bearer(ctx, c)
		}
	}
	for _, c := range offered {
		if c.scheme == "basic" && a.login.username != "" {
			return basic(a.login), nil
		}
	}
	return secret.Value{}, nil
}

func (a *authorizer) bearer(ctx context.Context, c challenge) (secret.Value, error) {
	if scope := c.params["scope"]; scope != "" && !slices.Contains(a.scopes, scope) {
		a.scopes = slices.Insert(a.scopes, 0, scope)
	}
	t, err := a.exchange(ctx, a.login, c, a.scopes)
	if err != nil {
		return secret.Value{}, err
	}
	if !t.RefreshToken.Empty() {
		a.login.identityToken = t.RefreshToken
	}
	return authorization("Bearer", t.bearer().Reveal()), nil
}

func basic(l login) secret.Value {
	pair := l.username + ":" + l.password.Reveal()
	return authorization("Basic", base64.StdEncoding.EncodeToString([]byte(pair)))
}

// authorization is the value of an Authorization header.
func authorization(scheme, credentials string) secret.Value {
	return secret.New(scheme + " " + credentials)
}
