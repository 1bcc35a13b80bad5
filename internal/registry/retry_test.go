package registry_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drengskapur/fastmcp-runner/internal/registry"
)

// hubLimit is what docker.io says to those who pulled too much.
const hubLimit = `{"errors":[{"code":"TOOMANYREQUESTS","message":"You have reached your unauthenticated pull rate limit."}]}`

func TestBusyRegistry(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name       string
		status     int
		retryAfter func() string
		busy       int // How many requests for the manifest are turned away.
		min, max   time.Duration
		want, hint string // "": it resolves.
	}{
		{
			"trap 45: Retry-After in seconds is waited for",
			429, func() string { return "17" }, 1, 17 * time.Second, 17 * time.Second, "", "",
		},
		{
			"trap 45: Retry-After as a date is waited for",
			429, func() string { return time.Now().Add(40 * time.Second).UTC().Format(http.TimeFormat) }, 1, 40 * time.Second, 40 * time.Second, "", "",
		},
		{
			"trap 45: a date that is past means now",
			503, func() string { return time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat) }, 4, 0, 0, "", "",
		},
		{
			"trap 45: without Retry-After the pauses grow",
			429, func() string { return "" }, 4, 21250 * time.Millisecond, 27 * time.Second, "", "",
		},
		{
			"trap 45: a Retry-After that is no time counts as none",
			503, func() string { return "soon" }, 1, 250 * time.Millisecond, 320 * time.Millisecond, "", "",
		},
		{
			"trap 45: a wait beyond the cap is an error that says until when",
			429, func() string { return "3600" }, 1, 0, 0,
			`too many requests (the registry says TOOMANYREQUESTS: "You have reached your unauthenticated pull rate limit."); try again after 2000-01-01T01:00:00Z`,
			"set REGISTRY_USER and REGISTRY_PASSWORD",
		},
		{
			"trap 45: a registry that stays busy is given up",
			429, func() string { return "10" }, 99, 40 * time.Second, 40 * time.Second,
			`try again after 2000-01-01T00:00:50Z (given up after 5 attempts in 40s)`, "",
		},
		{"a server error is retried", 502, func() string { return "" }, 1, 250 * time.Millisecond, 320 * time.Millisecond, "", ""},
		{
			"a server error that stays is the registry's own trouble",
			503, func() string { return "1" }, 99, 4 * time.Second, 4 * time.Second,
			"(given up after 5 attempts in 4s)", "start again later, or tell its operator",
		},
		{"another answer is not", 418, func() string { return "" }, 1, 0, 0, "418 I'm a teapot", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n, f := newNetwork(), newFake()
				f.keep(t, "latest", newImage(t, amd64, "layer"))
				f.hook = func(w http.ResponseWriter, r *http.Request) bool {
					if r.URL.Path == "/v2/" || f.seen("/manifests/") > tt.busy {
						return false
					}
					if value := tt.retryAfter(); value != "" {
						w.Header().Set("Retry-After", value)
					}
					w.WriteHeader(tt.status)
					if tt.status == http.StatusTooManyRequests {
						_, _ = fmt.Fprint(w, hubLimit)
					}
					return true
				}
				n.serveTLS(t, "index.docker.io:443", f)
				start := time.Now()
				_, err := newClient(t, n, registry.Options{}).Resolve(t.Context(), parse(t, "acme/mcp"), amd64)
				if took := time.Since(start); took < tt.min || took > tt.max {
					t.Errorf("it took %s, want %s to %s", took, tt.min, tt.max)
				}
				if tt.want != "" {
					wantError(t, err, tt.want, tt.hint)
				} else if err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestUnreachableRegistry(t *testing.T) {
	t.Parallel()
	t.Run("trap 46: nobody listens: tried again for seconds, then an error that says so", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			var log journal
			start := time.Now()
			_, err := newClient(t, newNetwork(), registry.Options{Log: log.logger()}).Resolve(t.Context(), parse(t, "ghcr.io/acme/mcp"), amd64)
			wantError(t, err, "cannot resolve ghcr.io/acme/mcp: ghcr.io: dial tcp: connection refused (given up after 4 attempts in ", "")
			if took := time.Since(start); took > 7*time.Second {
				t.Errorf("it took %s", took)
			}
			if wait := regexp.MustCompile(`wait=[0-9.]+m?s\n`); len(wait.FindAllString(log.String(), -1)) != 3 || strings.Contains(log.String(), "µs") {
				t.Errorf("the log does not tell three waits in milliseconds:\n%s", log.String())
			}
		})
	})
	t.Run("trap 46: a registry that answered before is waited for longer", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			n, f := newNetwork(), newFake()
			f.keep(t, "latest", newImage(t, amd64, "layer"))
			dials := 0
			c := newClient(t, n, registry.Options{Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
				if dials++; dials > 1 && dials < 6 {
					address = "nobody:443"
				}
				return n.dial(ctx, network, address)
			}})
			f.hook = func(w http.ResponseWriter, _ *http.Request) bool {
				w.Header().Set("Connection", "close")
				return false
			}
			n.serveTLS(t, "ghcr.io:443", f)
			mustResolve(t, c, "ghcr.io/acme/mcp")
		})
	})
	t.Run("what is no TLS is not tried again", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			n := newNetwork()
			listener := n.listen(t, "ghcr.io:443")
			done := make(chan error, 1)
			go func() {
				c, err := listener.Accept()
				if err == nil {
					_, err = io.WriteString(c, "<html>400 Bad Request</html>")
				}
				done <- errors.Join(err, listener.Close())
			}()
			start := time.Now()
			_, err := newClient(t, n, registry.Options{}).Resolve(t.Context(), parse(t, "ghcr.io/acme/mcp"), amd64)
			wantError(t, err, "cannot resolve ghcr.io/acme/mcp: ghcr.io: tls: first record does not look like a TLS handshake", "RUNNER_INSECURE_REGISTRIES")
			if took := time.Since(start); took != 0 {
				t.Errorf("it took %s", took)
			}
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	})
	t.Run("a name that nobody knows is tried again for seconds, then an error that says so", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			unknown := &net.DNSError{Err: "no such host", Name: "gchr.io", IsNotFound: true}
			c, err := registry.New(registry.Options{Dial: func(context.Context, string, string) (net.Conn, error) { return nil, unknown }})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(c.Close)
			start := time.Now()
			_, err = c.Resolve(t.Context(), parse(t, "gchr.io/acme/mcp"), amd64)
			wantError(t, err, "cannot resolve gchr.io/acme/mcp: gchr.io: lookup gchr.io: no such host (given up after 4 attempts in ",
				`check the name "gchr.io"; if it is right, this container's resolver (/etc/resolv.conf) does not know it`)
			if took := time.Since(start); took < 5*time.Second || took > 7*time.Second {
				t.Errorf("it took %s", took)
			}
		})
	})
	t.Run("a resolver that is late at boot ends no start", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			n, f := newNetwork(), newFake()
			f.keep(t, "latest", newImage(t, amd64, "layer"))
			n.serveTLS(t, "ghcr.io:443", f)
			up := time.Now().Add(5 * time.Second)
			mustResolve(t, newClient(t, n, registry.Options{Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
				if time.Now().Before(up) {
					return nil, &net.DNSError{Err: "no such host", Name: "ghcr.io", IsNotFound: true}
				}
				return n.dial(ctx, network, address)
			}}), "ghcr.io/acme/mcp")
		})
	})
	for name, valid := range map[string][2]string{ // It is 2000-01-01 in a bubble.
		"an expired certificate":    {"1995-01-01T00:00:00Z", "1999-12-31T00:00:00Z"},
		"one that is not yet valid": {"2024-01-01T00:00:00Z", "2025-01-01T00:00:00Z"},
	} {
		t.Run(name+" names the clock", func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork()
				n.serveTLSWith(t, "ghcr.io:443", &x509.Certificate{NotBefore: date(t, valid[0]), NotAfter: date(t, valid[1])}, newFake())
				start := time.Now()
				_, err := newClient(t, n, registry.Options{}).Resolve(t.Context(), parse(t, "ghcr.io/acme/mcp"), amd64)
				wantError(t, err, "cannot resolve ghcr.io/acme/mcp: ghcr.io: tls: failed to verify certificate: x509: certificate has expired or is not yet valid",
					"this machine's clock says 2000-01-01T00:00:00Z, and the certificate is valid from "+valid[0]+" to "+valid[1]+":")
				if took := time.Since(start); took != 0 {
					t.Errorf("it took %s", took)
				}
			})
		})
	}
	t.Run("trap 58: a pause ends at once when the context does", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			n, f := newNetwork(), newFake()
			f.hook = func(w http.ResponseWriter, _ *http.Request) bool {
				w.Header().Set("Retry-After", "100")
				w.WriteHeader(http.StatusServiceUnavailable)
				return true
			}
			n.serveTLS(t, "ghcr.io:443", f)
			cause := errors.New("terminated")
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(time.Second, func() { cancel(cause) })
			start := time.Now()
			_, err := newClient(t, n, registry.Options{}).Resolve(ctx, parse(t, "ghcr.io/acme/mcp"), amd64)
			if took := time.Since(start); !errors.Is(err, cause) || took != time.Second {
				t.Errorf("error %v after %s, want %v after 1s", err, took, cause)
			}
		})
	})
	t.Run("trap 46: a connection that breaks in a manifest is tried again", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			n, f := newNetwork(), newFake()
			f.keep(t, "latest", newImage(t, amd64, "layer"))
			f.hook = func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path != "/v2/" && f.seen("/manifests/") == 1 {
					w.Header().Set("Content-Length", "100")
					_, _ = fmt.Fprint(w, "{")
					abort(w)
				}
				return false
			}
			n.serveTLS(t, "ghcr.io:443", f)
			mustResolve(t, newClient(t, n, registry.Options{}), "ghcr.io/acme/mcp")
		})
	})
	t.Run("trap 45: a token server that is busy is waited for", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			n, f := newNetwork(), newFake()
			f.keep(t, "latest", newImage(t, amd64, "layer"))
			f.hook = requireBearer(bearer, is("good"))
			server := &tokens{}
			server.answer = func(w http.ResponseWriter, r *http.Request) {
				if len(server.asked) == 1 {
					w.Header().Set("Retry-After", "5")
					w.WriteHeader(http.StatusTooManyRequests)
					return
				}
				giving(`{"token":"good"}`)(w, r)
			}
			n.serveTLS(t, "ghcr.io:443", f)
			n.serveTLS(t, "auth.example.com:443", server)
			start := time.Now()
			mustResolve(t, newClient(t, n, registry.Options{}), "ghcr.io/acme/mcp")
			if took := time.Since(start); took != 5*time.Second {
				t.Errorf("it took %s, want 5s", took)
			}
		})
	})
}

func date(t *testing.T, s string) time.Time {
	t.Helper()
	d, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestWebPages: who answers with a web page is no registry.
func TestWebPages(t *testing.T) {
	t.Parallel()
	const hint, html = "no registry answers with a web page: check the host in IMAGE", "text/html; charset=utf-8"
	isToken := func(r *http.Request) bool { return r.Host == "auth.example.com" }
	isManifest := func(r *http.Request) bool { return strings.Contains(r.URL.Path, "/manifests/") }
	everything := func(*http.Request) bool { return true }
	tests := []struct {
		name        string
		where       func(*http.Request) bool
		status      int
		contentType string
		body        string
		want, hint  string
	}{
		{"in place of everything", everything, 200, html, "<!DOCTYPE html><p>Welcome", "cannot resolve ghcr.io/acme/mcp: ghcr.io answers with a web page", hint},
		{"with nothing but the manifest missing", isManifest, 404, html, "\n<html>", "no such tag (the registry says 404 Not Found)", hint},
		{"of a proxy that forbids", isManifest, 403, html, "<html>", "access denied (the registry says 403 Forbidden)", hint},
		{"in place of a config", isBlob, 200, html, "\ufeff<html>", "ghcr.io answers with a web page", hint},
		{"in place of a token", isToken, 200, html, "<html>", "the token server auth.example.com answers with a web page", hint},
		{"of a gateway in trouble", isManifest, 502, html, "<html>", "502 Bad Gateway) (given up after 5 attempts", "start again later"},
		{"before a password is given", isManifest, 401, html, "<html>", "access denied", "private images need"},
		{"of another type is unreadable", isManifest, 200, "text/plain", "<html>", "the manifest is unreadable", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n, f := newNetwork(), newFake()
				f.keep(t, "latest", newImage(t, amd64, "layer"))
				page := func(w http.ResponseWriter, r *http.Request) bool {
					if !tt.where(r) {
						return false
					}
					w.Header().Set("Content-Type", tt.contentType)
					w.WriteHeader(tt.status)
					_, _ = io.WriteString(w, tt.body)
					return true
				}
				authorized := requireBearer(bearer, is("good"))
				f.hook = func(w http.ResponseWriter, r *http.Request) bool { return page(w, r) || authorized(w, r) }
				server := &tokens{}
				server.answer = func(w http.ResponseWriter, r *http.Request) {
					if !page(w, r) {
						giving(`{"token":"good"}`)(w, r)
					}
				}
				n.serveTLS(t, "ghcr.io:443", f)
				n.serveTLS(t, "auth.example.com:443", server)
				_, err := newClient(t, n, registry.Options{}).Resolve(t.Context(), parse(t, "ghcr.io/acme/mcp"), amd64)
				wantError(t, err, tt.want, tt.hint)
			})
		})
	}
}
