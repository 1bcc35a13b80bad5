package healthcheck_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/drengskapur/fastmcp-runner/internal/healthcheck"
	"github.com/drengskapur/fastmcp-runner/internal/hint"
)

// serve starts a server on a loopback address and returns its port.
func serve(t *testing.T, address string, handler http.Handler) int {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: handler}}
	server.Start()
	t.Cleanup(server.Close)
	return portOf(t, listener.Addr())
}

func portOf(t *testing.T, addr net.Addr) int {
	t.Helper()
	parsed, err := netip.ParseAddrPort(addr.String())
	if err != nil {
		t.Fatal(err)
	}
	return int(parsed.Port())
}

// answers is a server with a path for every kind of answer.
func answers() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/status/{code}", func(w http.ResponseWriter, r *http.Request) {
		code, err := strconv.Atoi(r.PathValue("code"))
		if err != nil {
			panic(err)
		}
		w.WriteHeader(code)
		if _, err := io.WriteString(w, r.URL.Query().Get("body")); err != nil && !errors.Is(err, http.ErrBodyNotAllowed) {
			panic(err)
		}
	})
	mux.HandleFunc("/to", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, r.URL.Query().Get("url"), http.StatusFound)
	})
	mux.HandleFunc("/hang", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	mux.HandleFunc("/endless", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		if err := http.NewResponseController(w).Flush(); err != nil {
			panic(err)
		}
		<-r.Context().Done()
	})
	mux.HandleFunc("/agent", func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.UserAgent() != "fastmcp-runner-healthcheck" {
			w.WriteHeader(http.StatusTeapot)
		}
	})
	return mux
}

func TestCheck(t *testing.T) {
	t.Parallel()
	port := serve(t, "127.0.0.1:0", answers())
	for _, test := range []struct{ name, path, want, hint string }{
		{"200 is healthy", "/status/200", "", ""},
		{"204 is healthy", "/status/204", "", ""},
		{"304 is healthy", "/status/304", "", ""},
		{"a GET that says who asks", "/agent", "", ""},
		{"an answer that never ends is healthy", "/endless", "", ""},
		{"the answer of the redirect's target counts", "/to?url=/status/200", "", ""},
		{"so does a bad one", "/to?url=/status/500", "URL/to?url=/status/500 answered 500 Internal Server Error", ""},
		{"a redirect elsewhere is not followed", "/to?url=http://127.0.0.1:1/", "", ""},
		{"nor one to another scheme", "/to?url=https://HOST/", "", ""},
		{"404", "/nowhere", `URL/nowhere answered 404 Not Found: "404 page not found"`, "set HEALTHCHECK_PATH to a path that the server answers"},
		{"401", "/status/401", "URL/status/401 answered 401 Unauthorized", "set HEALTHCHECK_PATH to a path that needs no login"},
		{"503 with a reason", "/status/503?body=starting%0Amore", `URL/status/503?body=starting%0Amore answered 503 Service Unavailable: "starting"`, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			address := "127.0.0.1:" + strconv.Itoa(port)
			path := strings.ReplaceAll(test.path, "HOST", address)
			err := healthcheck.Check(t.Context(), healthcheck.Target{Host: "0.0.0.0", Port: port, Path: path})
			wantError(t, err, strings.ReplaceAll(test.want, "URL", "http://"+address), test.hint)
		})
	}
}

// wantError holds an error and its hint against what they should be; an empty
// text means healthy.
func wantError(t *testing.T, err error, text, wantHint string) {
	t.Helper()
	if text == "" {
		if err != nil {
			t.Errorf("Check gives %v, want healthy", err)
		}
		return
	}
	if _, ok := errors.AsType[*healthcheck.Error](err); !ok {
		t.Fatalf("Check gives %v, want %s", err, text)
	}
	if got := hint.Of(err); err.Error() != text || got != wantHint {
		t.Errorf("Check gives\n%s\nhint: %s\nwant\n%s\nhint: %s", err, got, text, wantHint)
	}
}

func TestCircleOfRedirects(t *testing.T) {
	t.Parallel()
	port := serve(t, "127.0.0.1:0", http.RedirectHandler("/again", http.StatusFound))
	err := healthcheck.Check(t.Context(), healthcheck.Target{Port: port, Path: "/"})
	wantError(t, err, fmt.Sprintf("cannot ask http://127.0.0.1:%d/: more than 10 redirects", port), "")
}

func TestHosts(t *testing.T) {
	t.Parallel()
	four := serve(t, "127.0.0.1:0", answers())
	other := serve(t, "127.0.0.2:0", answers())
	for _, test := range []struct {
		name, host string
		port       int
	}{
		{"no host is the loopback", "", four},
		{"all addresses of IPv4 are the loopback", "0.0.0.0", four},
		{"all addresses of IPv6 are the loopback of IPv4 too", "::", four},
		{"a specific address", "127.0.0.2", other},
		{"a name", "localhost", four},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			err := healthcheck.Check(t.Context(), healthcheck.Target{Host: test.host, Port: test.port, Path: "/agent"})
			if err != nil {
				t.Error(err)
			}
		})
	}
}

func TestServerOfIPv6Only(t *testing.T) {
	t.Parallel()
	port := serve(t, "[::1]:0", answers())
	if err := healthcheck.Check(t.Context(), healthcheck.Target{Host: "::", Port: port, Path: "/agent"}); err != nil {
		t.Error(err)
	}
	if err := healthcheck.Check(t.Context(), healthcheck.Target{Host: "::1%lo", Port: port, Path: "/agent"}); err != nil {
		t.Errorf("with a zone: %v", err)
	}
	err := healthcheck.Check(t.Context(), healthcheck.Target{Host: "::1", Port: port, Path: "/status/500"})
	wantError(t, err, fmt.Sprintf("http://[::1]:%d/status/500 answered 500 Internal Server Error", port), "")
}

func TestNobodyListens(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := portOf(t, listener.Addr())
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	err = healthcheck.Check(t.Context(), healthcheck.Target{Host: "127.0.0.1", Port: port, Path: "/health"})
	wantError(t, err,
		fmt.Sprintf("cannot ask http://127.0.0.1:%d/health: connection refused", port),
		"the server does not listen there (yet): it should listen on the address HOST and the port PORT of its environment")
}

func TestNoAnswerInTime(t *testing.T) {
	t.Parallel()
	port := serve(t, "127.0.0.1:0", answers())
	err := healthcheck.Check(t.Context(), healthcheck.Target{Port: port, Path: "/hang", Timeout: 50 * time.Millisecond})
	wantError(t, err, fmt.Sprintf("http://127.0.0.1:%d/hang gave no answer within 50ms", port), "the server is busy or hangs")
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the error does not wrap context.DeadlineExceeded: %#v", err)
	}
}

func TestCancelledCheck(t *testing.T) {
	t.Parallel()
	port := serve(t, "127.0.0.1:0", answers())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := healthcheck.Check(ctx, healthcheck.Target{Port: port, Path: "/status/200"})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Check gives %v, want context.Canceled", err)
	}
}
