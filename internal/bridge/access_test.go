package bridge_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/drengskapur/fastmcp-runner/internal/bridge"
)

func TestOriginsFromAnEnvironment(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name          string
		env           []string
		hosts, not    []string
		origins, nots []string
	}{
		{
			"nothing but the loopback and addresses", nil,
			[]string{"localhost", "localhost:8080", "127.0.0.1:80", "[::1]:80", "10.0.0.7:7860", "a.localhost"},
			[]string{"evil.com", "localhost.evil.com", "127.0.0.1.evil.com", "acme-mcp.hf.space", ""},
			[]string{"http://localhost:6274", "http://127.0.0.1", "https://[::1]:9"},
			[]string{"http://evil.com", "http://10.0.0.7", "null", "file://localhost", "http://localhost.evil.com"},
		},
		{
			"a Space",
			[]string{"SPACE_HOST=acme-mcp.hf.space"},
			[]string{"acme-mcp.hf.space", "ACME-mcp.hf.space."},
			[]string{"other.hf.space"},
			[]string{"https://acme-mcp.hf.space"},
			[]string{"https://other.hf.space", "http://acme-mcp.hf.space", "https://acme-mcp.hf.space:8443", "https://acme-mcp.hf.space/"},
		},
		{
			"other platforms",
			[]string{
				"RENDER_EXTERNAL_HOSTNAME=a.onrender.com", "RAILWAY_PUBLIC_DOMAIN=a.up.railway.app", "FLY_APP_NAME=a",
				"WEBSITE_HOSTNAME=a.azurewebsites.net", "CONTAINER_APP_NAME=a", "CONTAINER_APP_ENV_DNS_SUFFIX=x.westeurope.azurecontainerapps.io",
			},
			[]string{"a.onrender.com", "a.up.railway.app", "a.fly.dev", "a.azurewebsites.net", "a.x.westeurope.azurecontainerapps.io"},
			[]string{"b.fly.dev", "fly.dev", "x.westeurope.azurecontainerapps.io"},
			nil, nil,
		},
		{
			"Cloud Run",
			[]string{"K_SERVICE=mcp"},
			[]string{"mcp-123.us-central1.run.app", "mcp-abc-uc.a.run.app"},
			[]string{"other-abc-uc.a.run.app", "mcp-abc.run.app.evil.com"},
			[]string{"https://mcp-abc-uc.a.run.app"},
			nil,
		},
		{
			"what the operator allows",
			[]string{"RUNNER_ALLOWED_ORIGINS=https://mcp.example.com, http://desk.lan:3000/"},
			[]string{"mcp.example.com", "desk.lan"},
			[]string{"example.com"},
			[]string{"https://MCP.example.com", "https://mcp.example.com:443", "http://desk.lan:3000"},
			[]string{
				"http://mcp.example.com", "http://desk.lan:3001", "https://mcp.example.com:8443", "https://mcp.example.com/",
				"https://u@mcp.example.com", "https://mcp.example.com?", "https://mcp.example.com#", "https://mcp.example.com.",
				"https://mcp.example.com:", "https://mcp.example.com, https://mcp.example.com", "https://desk.lan",
			},
		},
		{
			"everything",
			[]string{"RUNNER_ALLOWED_ORIGINS=*"},
			[]string{"evil.com"},
			nil,
			[]string{"http://evil.com", "null"},
			nil,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o, err := bridge.OriginsFrom(tt.env)
			if err != nil {
				t.Fatal(err)
			}
			check := func(what string, allows func(string) bool, values []string, want bool) {
				for _, value := range values {
					if got := allows(value); got != want {
						t.Errorf("%s %q is allowed: %t, want %t", what, value, got, want)
					}
				}
			}
			check("Host", o.AllowsHost, tt.hosts, true)
			check("Host", o.AllowsHost, tt.not, false)
			check("Origin", o.AllowsOrigin, tt.origins, true)
			check("Origin", o.AllowsOrigin, tt.nots, false)
		})
	}
}

func TestAWrongOriginOfTheOperatorIsAnError(t *testing.T) {
	t.Parallel()
	for _, list := range []string{"mcp.example.com", "https://a/b", "https://", "https://user@a"} {
		_, err := bridge.OriginsFrom([]string{"RUNNER_ALLOWED_ORIGINS=https://fine.example " + list})
		if want := "RUNNER_ALLOWED_ORIGINS: " + list + " is not an origin such as https://mcp.example.com"; err == nil || err.Error() != want {
			t.Errorf("%q: error %v, want %s", list, err, want)
		}
	}
}

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
	got := h.client(t).with("Host", "mcp:8000").post(strings.Replace(hello, "VERSION", "2025-11-25", 1))
	const want = `RUNNER_ALLOWED_ORIGINS=\"http://mcp:8000\"`
	if got.status != 403 || !strings.Contains(got.body, want) {
		t.Errorf("status %d, body %s, want 403 and %s", got.status, got.body, want)
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
