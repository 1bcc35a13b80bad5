package registry_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/drengskapur/fastmcp-runner/internal/registry"
	"github.com/drengskapur/fastmcp-runner/internal/secret"
)

const password = "s3cr3t-passw0rd"

func alice() registry.Credentials {
	return registry.Credentials{Username: "alice", Password: secret.New(password)}
}

// requireBasic returns a hook that lets only alice in.
func requireBasic() func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if user, pass, ok := r.BasicAuth(); ok && user == "alice" && pass == password {
			return false
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
		refuse(w, http.StatusUnauthorized, "UNAUTHORIZED", "authentication required")
		return true
	}
}

// requireBearer returns a hook that lets in who carries a token that valid takes.
func requireBearer(challenge string, valid func(token string) bool) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if ok && valid(token) {
			return false
		}
		w.Header().Set("WWW-Authenticate", challenge)
		refuse(w, http.StatusUnauthorized, "UNAUTHORIZED", "authentication required")
		return true
	}
}

func is(want string) func(string) bool {
	return func(got string) bool { return got == want }
}

// tokens is a token server that answers with fixed JSON and keeps what it was asked.
type tokens struct {
	answer func(w http.ResponseWriter, r *http.Request)
	mu     sync.Mutex
	asked  []tokenRequest
}

type tokenRequest struct {
	Method, User, Password string
	Form                   url.Values
}

func (s *tokens) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	user, pass, _ := r.BasicAuth()
	if err := r.ParseForm(); err != nil {
		panic(err)
	}
	s.mu.Lock()
	s.asked = append(s.asked, tokenRequest{r.Method, user, pass, r.Form})
	s.mu.Unlock()
	s.answer(w, r)
}

func giving(json string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, json) }
}

const bearer = `Bearer realm="https://auth.example.com/token?account=x",service="ghcr.io"`

func TestAuthentication(t *testing.T) {
	t.Parallel()
	get := func(user, pass string) tokenRequest {
		return tokenRequest{"GET", user, pass, url.Values{
			"account": {"x"}, "service": {"ghcr.io"}, "scope": {"repository:acme/mcp:pull"},
		}}
	}
	post := func(token string) tokenRequest {
		return tokenRequest{"POST", "", "", url.Values{
			"account": {"x"}, "service": {"ghcr.io"}, "scope": {"repository:acme/mcp:pull"},
			"grant_type": {"refresh_token"}, "client_id": {"fastmcp-runner"}, "refresh_token": {token},
		}}
	}
	noOAuth := func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		giving(`{"token":"good"}`)(w, r)
	}
	tests := []struct {
		name   string
		opts   registry.Options
		hook   func(http.ResponseWriter, *http.Request) bool
		answer func(http.ResponseWriter, *http.Request)
		want   []tokenRequest
	}{
		{"trap 43: Basic", registry.Options{Credentials: alice()}, requireBasic(), nil, nil},
		{"trap 43: Bearer", registry.Options{Credentials: alice()}, requireBearer(bearer, is("good")), giving(`{"token":"good"}`), []tokenRequest{get("alice", password)}},
		{"trap 43: Bearer, anonymous", registry.Options{}, requireBearer(bearer, is("good")), giving(`{"token":"good"}`), []tokenRequest{get("", "")}},
		{"trap 43: access_token", registry.Options{}, requireBearer(bearer, is("good")), giving(`{"access_token":"good"}`), []tokenRequest{get("", "")}},
		{"trap 43: both schemes in one header", registry.Options{}, requireBearer(`Basic realm="x", `+bearer, is("good")), giving(`{"token":"good"}`), []tokenRequest{get("", "")}},
		{"trap 43: a Bearer challenge without a realm falls back to Basic", registry.Options{Credentials: alice()}, func(w http.ResponseWriter, r *http.Request) bool {
			w.Header().Add("WWW-Authenticate", `Bearer service="x"`)
			return requireBasic()(w, r)
		}, nil, nil},
		{"trap 43: an identity token", dockerOptions(`{"auths":{"ghcr.io":{"identitytoken":"refresh"}}}`), requireBearer(bearer, is("good")), giving(`{"access_token":"good"}`), []tokenRequest{post("refresh")}},
		{
			"trap 43: an identity token at a server without OAuth 2, with a password", dockerOptions(`{"auths":{"ghcr.io":{"username":"alice","password":"` + password + `","identitytoken":"refresh"}}}`),
			requireBearer(bearer, is("good")), noOAuth,
			[]tokenRequest{post("refresh"), get("alice", password)},
		},
		{"trap 50: a registry token is sent as it is", dockerOptions(`{"auths":{"ghcr.io":{"registrytoken":"good"}}}`), requireBearer(bearer, is("good")), nil, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n, f := newNetwork(), newFake()
				f.keep(t, "latest", newImage(t, amd64, "layer"))
				f.hook = tt.hook
				server := &tokens{answer: tt.answer}
				n.serveTLS(t, "ghcr.io:443", f)
				n.serveTLS(t, "auth.example.com:443", server)
				img := mustResolve(t, newClient(t, n, tt.opts), "ghcr.io/acme/mcp")
				if _, err := readLayer(t, img.Layers[0]); err != nil {
					t.Error(err)
				}
				if diff := cmp.Diff(tt.want, server.asked); diff != "" {
					t.Errorf("the token server was asked (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func dockerOptions(configs ...string) registry.Options {
	var opts registry.Options
	for _, config := range configs {
		opts.DockerConfigs = append(opts.DockerConfigs, registry.DockerConfig{Source: "/config.json", JSON: secret.New(config)})
	}
	return opts
}

func TestRenewal(t *testing.T) {
	t.Parallel()
	t.Run("trap 43: tokens that live for one request are renewed, once for all that wait", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			n, f := newNetwork(), newFake()
			f.keep(t, "latest", newImage(t, amd64, "one", "two", "three"))
			var issued, valid atomic.Int64
			f.hook = requireBearer(bearer, func(token string) bool { return token == fmt.Sprint("t", valid.Load()) })
			server := &tokens{answer: func(w http.ResponseWriter, _ *http.Request) {
				valid.Store(issued.Add(1))
				_, _ = fmt.Fprintf(w, `{"token":"t%d","expires_in":1}`, issued.Load())
			}}
			n.serveTLS(t, "ghcr.io:443", f)
			n.serveTLS(t, "auth.example.com:443", server)
			img := mustResolve(t, newClient(t, n, registry.Options{}), "ghcr.io/acme/mcp")
			valid.Store(-1)
			var all sync.WaitGroup
			for _, layer := range img.Layers {
				all.Go(func() {
					if _, err := readLayer(t, layer); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
			if got := issued.Load(); got != 2 {
				t.Errorf("%d tokens were issued, want 2", got)
			}
		})
	})
	t.Run("trap 43: a scope that is asked for mid-pull is added, and asked for first", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			n, f := newNetwork(), newFake()
			f.keep(t, "latest", newImage(t, amd64, "layer"))
			wide := requireBearer(bearer+`,scope="repository:acme/base:pull"`, is("wide"))
			narrow := requireBearer(bearer, func(string) bool { return true })
			f.hook = func(w http.ResponseWriter, r *http.Request) bool {
				if isBlob(r) {
					return wide(w, r)
				}
				return narrow(w, r)
			}
			server := &tokens{answer: func(w http.ResponseWriter, r *http.Request) {
				if r.Form["scope"][0] == "repository:acme/base:pull" && len(r.Form["scope"]) == 2 {
					giving(`{"token":"wide"}`)(w, r)
					return
				}
				giving(`{"token":"narrow"}`)(w, r)
			}}
			n.serveTLS(t, "ghcr.io:443", f)
			n.serveTLS(t, "auth.example.com:443", server)
			mustResolve(t, newClient(t, n, registry.Options{}), "ghcr.io/acme/mcp")
		})
	})
	t.Run("trap 43: a refresh token that the server gives replaces the one we had", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			n, f := newNetwork(), newFake()
			f.keep(t, "latest", newImage(t, amd64, "layer"))
			var uses atomic.Int64
			f.hook = requireBearer(bearer, func(token string) bool { return token == "second" || uses.Add(1) == 1 })
			server := &tokens{answer: func(w http.ResponseWriter, r *http.Request) {
				if r.Form.Get("refresh_token") == "old" {
					giving(`{"access_token":"first","refresh_token":"new"}`)(w, r)
					return
				}
				giving(`{"access_token":"second"}`)(w, r)
			}}
			n.serveTLS(t, "ghcr.io:443", f)
			n.serveTLS(t, "auth.example.com:443", server)
			mustResolve(t, newClient(t, n, dockerOptions(`{"auths":{"ghcr.io":{"identitytoken":"old"}}}`)), "ghcr.io/acme/mcp")
			if got := server.asked[len(server.asked)-1].Form.Get("refresh_token"); got != "new" {
				t.Errorf("the last refresh token was %q, want new", got)
			}
		})
	})
}

func TestRefusedCredentials(t *testing.T) {
	t.Parallel()
	denying := func(w http.ResponseWriter, r *http.Request) {
		if _, _, ok := r.BasicAuth(); ok {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = fmt.Fprint(w, `{"details":"incorrect username or password"}`)
			return
		}
		giving(`{"token":"anonymous"}`)(w, r)
	}
	t.Run("trap 44: a public image resolves without them, with a warning", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			n, f := newNetwork(), newFake()
			f.keep(t, "latest", newImage(t, amd64, "layer"))
			f.hook = requireBearer(bearer, is("anonymous"))
			server := &tokens{answer: denying}
			n.serveTLS(t, "ghcr.io:443", f)
			n.serveTLS(t, "auth.example.com:443", server)
			var log journal
			img := mustResolve(t, newClient(t, n, registry.Options{Credentials: alice(), Log: log.logger()}), "ghcr.io/acme/mcp")
			if _, err := readLayer(t, img.Layers[0]); err != nil {
				t.Error(err)
			}
			if len(server.asked) != 2 {
				t.Errorf("the token server was asked %d times, want 2", len(server.asked))
			}
			if !strings.Contains(log.String(), "level=WARN") {
				t.Errorf("no warning in the log:\n%s", log.String())
			}
		})
	})
	tests := []struct {
		name, want, hint string
		hook             func(http.ResponseWriter, *http.Request) bool
		creds            registry.Credentials
	}{
		{
			"trap 44: a private image with a wrong password at the token server",
			`cannot resolve ghcr.io/acme/mcp: access denied (the token server auth.example.com says "incorrect username or password")`,
			"check the user name and the password or token", requireBearer(bearer, is("good")), alice(),
		},
		{
			"trap 44: a private image with a wrong password by Basic",
			`cannot resolve ghcr.io/acme/mcp: access denied (the registry says UNAUTHORIZED: "authentication required")`,
			"check the user name and the password or token", requireBasic(),
			registry.Credentials{Username: "alice", Password: secret.New("wrong")},
		},
		{
			"trap 44: a private image, anonymous",
			`cannot resolve ghcr.io/acme/mcp: access denied (the registry says UNAUTHORIZED: "authentication required")`,
			"private images need REGISTRY_USER and REGISTRY_PASSWORD", requireBearer(bearer, is("good")),
			registry.Credentials{},
		},
		{
			"trap 44: a challenge that nothing answers",
			`cannot resolve ghcr.io/acme/mcp: access denied (the registry says UNAUTHORIZED: "authentication required")`,
			"", requireBearer(`Negotiate YII=`, is("good")), alice(),
		},
		{
			"trap 43: a token server at no URL", `the registry names a token server that is no URL: "://"`,
			"", requireBearer(`Bearer realm="://"`, is("good")),
			registry.Credentials{},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n, f := newNetwork(), newFake()
				f.keep(t, "latest", newImage(t, amd64, "layer"))
				f.hook = tt.hook
				n.serveTLS(t, "ghcr.io:443", f)
				n.serveTLS(t, "auth.example.com:443", &tokens{answer: denying})
				var log journal
				c := newClient(t, n, registry.Options{Credentials: tt.creds, Log: log.logger()})
				_, err := c.Resolve(t.Context(), parse(t, "ghcr.io/acme/mcp"), amd64)
				wantError(t, err, tt.want, tt.hint)
				for _, secret := range []string{password, base64.StdEncoding.EncodeToString([]byte("alice:" + password))} {
					if strings.Contains(log.String()+fmt.Sprintf("%+v %#v", err, err), secret) {
						t.Errorf("trap 50: a credential stands in the log or the error")
					}
				}
			})
		})
	}
}

func TestTokenServerAnswers(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		answer func(http.ResponseWriter, *http.Request)
		want   string
	}{
		{"no token", giving(`{}`), "the token server auth.example.com gives no token"},
		{"no JSON", giving(`token`), "the token server auth.example.com gives no token"},
		{"too much", giving(strings.Repeat(" ", registry.MaxTokenBytes+1)), "the answer is larger than 1048576 bytes"},
		{"trap 47: a redirect, which is not followed with credentials", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://evil.example.com/", http.StatusFound)
		}, "no answer of use (the token server auth.example.com says 302 Found)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n, f := newNetwork(), newFake()
				f.hook = requireBearer(bearer, is("good"))
				n.serveTLS(t, "ghcr.io:443", f)
				n.serveTLS(t, "auth.example.com:443", &tokens{answer: tt.answer})
				n.serveTLS(t, "evil.example.com:443", http.NotFoundHandler())
				c := newClient(t, n, registry.Options{Credentials: alice()})
				_, err := c.Resolve(t.Context(), parse(t, "ghcr.io/acme/mcp"), amd64)
				wantError(t, err, tt.want, "")
				if n.reached("evil.example.com:443") {
					t.Error("the redirect was followed")
				}
			})
		})
	}
}

func TestSecret(t *testing.T) {
	t.Parallel()
	var log journal
	log.logger().Info("Credentials", "password", secret.New(password), "credentials", alice())
	printed := fmt.Sprintf("%v %+v %#v %s %q", alice(), alice(), alice(), alice().Password, alice().Password)
	marshalled := string(mustJSON(t, alice()))
	for where, text := range map[string]string{"log": log.String(), "fmt": printed, "JSON": marshalled} {
		if strings.Contains(text, password) || !strings.Contains(text, "[redacted]") {
			t.Errorf("trap 50: %s shows %s", where, text)
		}
	}
}
