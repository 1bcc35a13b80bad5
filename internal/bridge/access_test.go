package bridge_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/drengskapur/fastmcp-runner/internal/bridge"
)

func TestStrangersAreRefused(t *testing.T) {
	t.Parallel()
	h := open(t, func(opts *bridge.Options) { opts.Token = "s3cret" })
	c := h.client(t).with("Authorization", "Bearer s3cret")
	begin := strings.Replace(hello, "VERSION", "2025-11-25", 1)
	for _, tt := range []struct {
		name   string
		c      client
		status int
	}{
		{"the token", c, 200},
		{"another case of the scheme", c.with("Authorization", "bearer s3cret"), 200},
		{"no token", c.with("Authorization", ""), 401},
		{"a wrong token", c.with("Authorization", "Bearer s3cre"), 401},
		{"another scheme", c.with("Authorization", "Basic s3cret"), 401},
		{"an origin of this machine", c.with("Origin", "http://localhost:6274"), 200},
		{"a foreign origin", c.with("Origin", "https://evil.com"), 403},
		{"a foreign host with the token", c.with("Host", "mcp"), 200},
		{"a foreign host without it", c.with("Host", "mcp").with("Authorization", ""), 401},
	} {
		got := tt.c.post(begin)
		if got.status != tt.status {
			t.Errorf("%s: status %d, want %d", tt.name, got.status, tt.status)
		}
		if challenge := got.header.Get("WWW-Authenticate"); (tt.status == 401) != strings.HasPrefix(challenge, "Bearer") {
			t.Errorf("%s: WWW-Authenticate %q", tt.name, challenge)
		}
	}
	if strings.Contains(h.log.String(), "s3cre") {
		t.Error("the token is in the log")
	}
}

func TestAHostOfElsewhereIsToldWhatToSet(t *testing.T) {
	t.Parallel()
	h := open(t, func(*bridge.Options) {})
	for host, want := range map[string]string{
		"mcp:8000":                          `not allowed here: if it is this server's, set RUNNER_ALLOWED_ORIGINS=\"http://mcp:8000\""`,
		"[mcp":                              `not allowed here"`, // which the variable would not take
		"a,b":                               `not allowed here"`,
		strings.Repeat("long.", 60) + "lan": `not allowed here"`,
	} {
		got := h.client(t).with("Host", host).post(strings.Replace(hello, "VERSION", "2025-11-25", 1))
		if got.status != 403 || !strings.Contains(got.body, want) {
			t.Errorf("%s: status %d, body %s, want 403 and %s", host, got.status, got.body, want)
		}
	}
}

func TestPaths(t *testing.T) {
	t.Parallel()
	begin := strings.Replace(hello, "VERSION", "2025-11-25", 1)
	for _, tt := range []struct {
		name, served, path string
		sse                bridge.SSEMode
		token              bool
		status             int
	}{
		{"the path", "/there", "/there", bridge.SSEOff, true, 200},
		{"a slash at its end", "/there", "/there/", bridge.SSEOff, true, 200},
		{"a slash at the end of the option", "/there/", "/there", bridge.SSEOff, true, 200},
		{"the root", "/", "/", bridge.SSEOff, true, 200},
		{"one with what patterns give a meaning to", "/{id}", "/%7Bid}", bridge.SSEOff, true, 200},
		{"below the path", "/there", "/there/below", bridge.SSEOff, true, 404},
		{"no path of ours, which is told to everybody", "/there", "/.well-known/oauth-protected-resource", bridge.SSEOff, false, 404},
		{"HTTP+SSE, which is not served", "/there", "/messages", bridge.SSEOff, true, 404},
		{"HTTP+SSE", "/there", "/messages", bridge.SSEOn, false, 401},
		{"the path where HTTP+SSE alone is served", "/there", "/there", bridge.SSEOnly, true, 404},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := open(t, func(opts *bridge.Options) { opts.Token, opts.Path, opts.SSE = "s3cret", tt.served, tt.sse })
			c := h.client(t)
			c.url = h.url + tt.path
			if tt.token {
				c = c.with("Authorization", "Bearer s3cret")
			}
			if got := c.post(begin); got.status != tt.status {
				t.Errorf("POST %s: status %d, want %d: %s", tt.path, got.status, tt.status, got.body)
			}
		})
	}
}

func TestAGuardSaysBeforeWhatItDoes(t *testing.T) {
	t.Parallel()
	b := bridge.New(bridge.Options{Token: "s3cret"})
	guarded := b.Guard(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	for _, tt := range []struct {
		name                string
		host, origin, token string
		status              int
	}{
		{"who belongs here", "localhost", "http://localhost:6274", "s3cret", 200},
		{"no token", "localhost", "", "", 401},
		{"a foreign name with the token", "mcp", "", "s3cret", 200},
		{"a foreign page", "localhost", "https://evil.com", "s3cret", 403},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
		r.Host = tt.host
		r.Header.Set("Authorization", "Bearer "+tt.token)
		if tt.origin != "" {
			r.Header.Set("Origin", tt.origin)
		}
		w := httptest.NewRecorder()
		guarded.ServeHTTP(w, r)
		if w.Code != tt.status || b.Admits(r) != (tt.status == 200) {
			t.Errorf("%s: status %d, admitted %t, want %d", tt.name, w.Code, b.Admits(r), tt.status)
		}
	}
}

func TestScriptsOfAllowedOriginsMayRead(t *testing.T) {
	t.Parallel()
	h := open(t, func(opts *bridge.Options) { opts.Token = "s3cret" })
	c := h.client(t).with("Origin", "http://localhost:6274").with("Access-Control-Request-Headers", "mcp-param-region")
	preflight := c.send(http.MethodOptions, "")
	if preflight.status != http.StatusNoContent ||
		preflight.header.Get("Access-Control-Allow-Origin") != "http://localhost:6274" ||
		preflight.header.Get("Access-Control-Allow-Headers") != "mcp-param-region" {
		t.Errorf("preflight: %+v", preflight)
	}
	answer := c.with("Authorization", "Bearer s3cret").post(strings.Replace(hello, "VERSION", "2025-11-25", 1))
	if !strings.Contains(answer.header.Get("Access-Control-Expose-Headers"), "Mcp-Session-Id") || answer.header.Get("Vary") != "Origin" {
		t.Errorf("answer: %+v", answer)
	}
	foreign := c.with("Origin", "https://evil.com").send(http.MethodOptions, "")
	if foreign.status != http.StatusForbidden || foreign.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("foreign: %+v", foreign)
	}
}
