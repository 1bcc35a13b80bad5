package front_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drengskapur/fastmcp-runner/internal/bridge"
	"github.com/drengskapur/fastmcp-runner/internal/bridge/child"
	"github.com/drengskapur/fastmcp-runner/internal/front"
	"github.com/drengskapur/fastmcp-runner/internal/page"
)

// house is a front that serves.
type house struct {
	url string
	end func() error
}

// server is a shell script that speaks MCP well enough to be probed.
const server = `read hello; echo '{"jsonrpc":"2.0","id":"fastmcp-runner initialize","result":{"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{"name":"script","version":"1"}}}'; cat >/dev/null`

// serve serves a shell script.
func serve(t *testing.T, script string, change func(*front.Options)) house {
	t.Helper()
	listener, err := front.Listen(t.Context(), "127.0.0.1", 0)
	if err != nil {
		t.Fatal(err)
	}
	if front.IsPublic(listener) {
		t.Errorf("%s counts as public", listener.Addr())
	}
	opts := front.Options{
		Site:  front.Site{Path: "/mcp", HealthPath: "/health", Page: true},
		Grace: 5 * time.Second, Log: slog.New(slog.DiscardHandler),
	}
	opts.Bridge = newBridge(script, "open-sesame")
	if change != nil {
		change(&opts)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- front.Serve(ctx, listener, opts) }()
	return house{"http://" + listener.Addr().String(), func() error {
		cancel()
		return <-ended
	}}
}

func newBridge(script, token string) *bridge.Bridge {
	return bridge.New(bridge.Options{
		Command: child.Command{Path: "/bin/sh", Argv: []string{"sh", "-c", script}},
		Start:   10 * time.Second, Grace: time.Second, Token: token,
	})
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

func ask(t *testing.T, method, url string, header http.Header) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header, req.Host = header, header.Get("Host")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(body)}
}

// health asks for the health, as one who may use the server.
func health(t *testing.T, url string) (code int, state page.State) {
	t.Helper()
	got := ask(t, http.MethodGet, url+"/health", http.Header{"Authorization": {"Bearer open-sesame"}})
	if err := json.Unmarshal([]byte(got.body), &state); err != nil {
		t.Fatalf("%v: %s", err, got.body)
	}
	return got.status, state
}

// awaitHealth waits until the health is as wanted.
func awaitHealth(t *testing.T, url string, want func(code int, state page.State) bool) page.State {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		code, state := health(t, url)
		if want(code, state) {
			return state
		}
		if time.Now().After(deadline) {
			t.Fatalf("the health stays %d %+v", code, state)
		}
	}
}

func TestServeIsHealthyWhenTheServerHasAnswered(t *testing.T) {
	t.Parallel()
	gate := filepath.Join(t.TempDir(), "gate")
	h := serve(t, "until [ -e "+gate+" ]; do sleep 0.01; done; "+server, nil)
	if code, state := health(t, h.url); code != http.StatusServiceUnavailable || state.Status != page.Starting || state.Phase != page.Launching {
		t.Errorf("before, the health is %d %+v", code, state)
	}
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		if got := ask(t, method, h.url+"/", nil); got.status != http.StatusOK {
			t.Errorf("before, %s / is %d", method, got.status)
		}
	}
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	awaitHealth(t, h.url, func(code int, state page.State) bool { return code == http.StatusOK && state.Status == page.OK })
	if got := ask(t, http.MethodGet, h.url+"/", nil); !strings.Contains(got.body, "script") {
		t.Errorf("the page does not name the server: %s", got.body)
	}
	if err := h.end(); err != nil {
		t.Errorf("Serve = %v, want nil", err)
	}
}

func TestServeFailsAndRecoversWithTheServer(t *testing.T) {
	t.Parallel()
	gate := filepath.Join(t.TempDir(), "gate")
	h := serve(t, "if [ ! -e "+gate+" ]; then echo no database >&2; exit 3; fi; "+server, nil)
	state := awaitHealth(t, h.url, func(code int, state page.State) bool {
		return code == http.StatusServiceUnavailable && state.Status == page.Failing && strings.Contains(state.Reason, "ended with exit code 3")
	})
	if !strings.Contains(state.Reason, "no database") {
		t.Errorf("the reason is %q, want the server's last words in it", state.Reason)
	}
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	awaitHealth(t, h.url, func(code int, _ page.State) bool { return code == http.StatusOK })
	if err := h.end(); err != nil {
		t.Errorf("Serve = %v, want nil", err)
	}
}

func TestAServerThatListsNoToolsIsHealthy(t *testing.T) {
	t.Parallel()
	script := strings.Replace(server, `"capabilities":{}`, `"capabilities":{"tools":{}}`, 1)
	script = strings.Replace(script, "cat >", `read initialized; read list; echo '{"jsonrpc":"2.0","id":"fastmcp-runner tools 0","error":{"code":-32603,"message":"fetch failed"}}'; cat >`, 1)
	var log strings.Builder
	h := serve(t, script, func(opts *front.Options) { opts.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	awaitHealth(t, h.url, func(code int, state page.State) bool { return code == http.StatusOK && state.Status == page.OK })
	header := http.Header{"Authorization": {"Bearer open-sesame"}}
	if got := ask(t, http.MethodGet, h.url+"/", header); !strings.Contains(got.body, "The server did not list its tools") {
		t.Errorf("the page: %s", got.body)
	}
	if err := h.end(); err != nil {
		t.Errorf("Serve = %v, want nil", err)
	}
	if !strings.Contains(log.String(), `msg="The server does not list its tools"`) || !strings.Contains(log.String(), "fetch failed") {
		t.Errorf("the log: %s", log.String())
	}
}

// TestStrangersAreNotToldWhatTheServerWrites: neither those without the token,
// nor a web page whose name was rebound to the address of a server without one.
func TestStrangersAreNotToldWhatTheServerWrites(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, token string
		header      http.Header
		want        bool
	}{
		{"without the token", "open-sesame", nil, false},
		{"with the token", "open-sesame", http.Header{"Authorization": {"Bearer open-sesame"}}, true},
		{"by an address, where no token is needed", "", nil, true},
		{"by a name that was rebound", "", http.Header{"Host": {"evil.example"}}, false},
		{"by such a name, as if a proxy had changed it", "", http.Header{"Host": {"evil.example"}, "X-Forwarded-Host": {"127.0.0.1"}}, false},
		{"from another web page", "", http.Header{"Origin": {"https://evil.example"}}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := serve(t, "", func(opts *front.Options) {
				opts.NeedsToken, opts.Bridge = tt.token != "", newBridge("echo no database >&2; exit 3", tt.token)
			})
			awaitHealth(t, h.url, func(_ int, state page.State) bool { return state.Status == page.Failing })
			for _, path := range []string{"/", "/health"} {
				if got := ask(t, http.MethodGet, h.url+path, tt.header); strings.Contains(got.body, "no database") != tt.want {
					t.Errorf("%s tells why: %v, want %v: %d %s", path, !tt.want, tt.want, got.status, got.body)
				}
			}
			if err := h.end(); err != nil {
				t.Errorf("Serve = %v, want nil", err)
			}
		})
	}
}

func TestPathsOfTheSite(t *testing.T) {
	t.Parallel()
	metrics := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "metrics") })
	token := http.Header{"Authorization": {"Bearer open-sesame"}}
	streams := http.Header{"Authorization": {"Bearer open-sesame"}, "Accept": {"text/event-stream"}}
	for _, tt := range []struct {
		name   string
		change func(*front.Options)
		path   string
		header http.Header
		want   int
		body   string
	}{
		{"the page", nil, "/", nil, 200, "<"},
		{"no page", func(o *front.Options) { o.Page = false }, "/", nil, 200, "FastMCP Runner\n"},
		{"a path that is not there", nil, "/favicon.ico", nil, 404, ""},
		{"the endpoint", nil, "/mcp", nil, 401, "token"},
		{"no metrics", nil, "/metrics", token, 404, ""},
		{"metrics", func(o *front.Options) { o.Metrics = metrics }, "/metrics", token, 200, "metrics"},
		{"a slash at the end", func(o *front.Options) { o.Metrics = metrics }, "/metrics/", token, 200, "metrics"},
		{"metrics without the token", func(o *front.Options) { o.Metrics = metrics }, "/metrics", nil, 401, "token"},
		{"a health check elsewhere", func(o *front.Options) { o.HealthPath = "/{up" }, "/%7Bup", nil, 503, "launching"},
		{"a health check in the place of the page", func(o *front.Options) { o.HealthPath = "/" }, "/", nil, 503, "launching"},
		{"the page where the endpoint is", func(o *front.Options) { o.Path = "/" }, "/", nil, 200, "<"},
		{"the endpoint where the page is", func(o *front.Options) { o.Path = "/" }, "/", streams, 404, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := serve(t, "cat >/dev/null", tt.change)
			got := ask(t, http.MethodGet, h.url+tt.path, tt.header)
			if got.status != tt.want || !strings.Contains(got.body, tt.body) {
				t.Errorf("GET %s = %d %q, want %d and %q", tt.path, got.status, got.body, tt.want, tt.body)
			}
			if err := h.end(); err != nil {
				t.Errorf("Serve = %v, want nil", err)
			}
		})
	}
}

func TestListenSaysWhichAddressIsTaken(t *testing.T) {
	t.Parallel()
	listener, err := front.Listen(t.Context(), "0.0.0.0", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if !front.IsPublic(listener) {
		t.Errorf("%s does not count as public", listener.Addr())
	}
	_, err = front.Listen(t.Context(), "256.0.0.1", 1)
	if err == nil || !strings.HasPrefix(err.Error(), "cannot listen at 256.0.0.1:1: ") {
		t.Errorf("Listen at an address that is none: %v", err)
	}
	_, err = front.Listen(t.Context(), "192.0.2.1", 1)
	if diff := cmp.Diff("cannot listen at 192.0.2.1:1: bind: cannot assign requested address", errText(err)); diff != "" {
		t.Errorf("Listen at an address of others (-want +got):\n%s", diff)
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
