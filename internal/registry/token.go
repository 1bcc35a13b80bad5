package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/drengskapur/fastmcp-runner/internal/secret"
)

// clientID names this program to OAuth 2 token servers, which require a name.
const clientID = "fastmcp-runner"

// token is the answer of a token server; see distribution, "Token Authentication
// Specification". Its lifetime is not looked at: a registry that no longer takes
// it answers 401, and then there is another.
type token struct {
	Token        secret.Value `json:"token"`
	AccessToken  secret.Value `json:"access_token"`
	RefreshToken secret.Value `json:"refresh_token"`
}

func (t token) bearer() secret.Value {
	if !t.Token.Empty() {
		return t.Token
	}
	return t.AccessToken
}

// exchange gets a bearer token from the realm of a challenge. An identity token
// goes by OAuth 2; servers that do not know that answer 404 or 405, and then a
// password still may serve.
func (s *session) exchange(ctx context.Context, l login, bearer challenge, scopes []string) (token, error) {
	realm, err := url.Parse(bearer.params["realm"])
	if err != nil || realm.Host == "" {
		return token{}, fmt.Errorf("the registry names a token server that is no URL: %q", bearer.params["realm"])
	}
	if l.identityToken.Empty() {
		return s.token(ctx, tokenByGet(realm, l, bearer.params["service"], scopes))
	}
	t, err := s.token(ctx, tokenByPost(realm, l, bearer.params["service"], scopes))
	if status, ok := errors.AsType[*statusError](err); ok && l.username != "" &&
		(status.code == http.StatusNotFound || status.code == http.StatusMethodNotAllowed) {
		return s.token(ctx, tokenByGet(realm, l, bearer.params["service"], scopes))
	}
	return t, err
}

func tokenByGet(realm *url.URL, l login, service string, scopes []string) *http.Request {
	u := *realm
	query := u.Query()
	if service != "" {
		query.Set("service", service)
	}
	for _, scope := range scopes {
		query.Add("scope", scope)
	}
	u.RawQuery = query.Encode()
	req := newRequest(http.MethodGet, &u)
	if l.username != "" {
		req.Header.Set("Authorization", basic(l).Reveal())
	}
	return req
}

func tokenByPost(realm *url.URL, l login, service string, scopes []string) *http.Request {
	form := url.Values{
		"grant_type":    {"refresh_token"},
		"refresh_token": {l.identityToken.Reveal()},
		"client_id":     {clientID},
		"service":       {service},
		"scope":         {strings.Join(scopes, " ")},
	}
	req := newRequest(http.MethodPost, realm)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	setBody(req, form.Encode())
	return req
}

// token sends a token request. Redirects are not followed: the credentials are
// for the realm that the registry named.
func (s *session) token(ctx context.Context, req *http.Request) (token, error) {
	resp, err := s.send(ctx, req) //nolint:bodyclose // readAll and newStatusError close it
	if err != nil {
		return token{}, err
	}
	if resp.StatusCode != http.StatusOK {
		return token{}, newStatusError(resp, "token", "the token server "+req.URL.Host)
	}
	body, err := readAll(resp.Body, MaxTokenBytes)
	if err != nil {
		return token{}, err
	}
	if isPage(resp.Header, body) {
		return token{}, pageError("the token server " + req.URL.Host)
	}
	var t token
	if json.Unmarshal(body, &t) != nil || t.bearer().Empty() {
		return token{}, fmt.Errorf("the token server %s gives no token", req.URL.Host)
	}
	return t, nil
}
