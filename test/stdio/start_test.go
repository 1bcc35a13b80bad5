package stdio_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

func TestAStartIsSeenFromTheFirstMoment(t *testing.T) {
	t.Parallel()
	s := sell(t, greeter, v1.Config{})
	r := run(t, s)
	pulling := r.awaitHealth(http.StatusServiceUnavailable, func(h health) bool { return h.Phase == "pulling" && h.Read > 0 })
	if pulling.Status != "starting" || pulling.Total <= pulling.Read || pulling.Image != s.image() {
		t.Errorf("while the image is pulled the health is %+v", pulling)
	}
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		if got := r.mustAsk(method, "/", "", nil); got.status != http.StatusOK {
			t.Errorf("while the image is pulled %s / is %d", method, got.status)
		}
	}
	s.open()
	r.awaitReady()
	for transport, name := range map[mcp.Transport]string{
		r.streamable(): "Streamable HTTP", &mcp.SSEClientTransport{Endpoint: r.URL("/sse")}: "HTTP+SSE",
	} {
		if err := r.greet(t.Context(), transport); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := r.mustAsk(http.MethodGet, "/", "", nil); !strings.Contains(got.body, "runtime_facts") {
		t.Error("the page does not show the tools")
	}
	if status, took := r.End(syscall.SIGTERM); status != 0 || took > 2*time.Second {
		t.Errorf("SIGTERM ends it with %d after %s", status, took)
	}
}

func TestClientsWaitForTheServer(t *testing.T) {
	t.Parallel()
	s := sell(t, greeter, v1.Config{})
	r := run(t, s)
	r.awaitHealth(http.StatusServiceUnavailable, func(h health) bool { return h.Phase == "pulling" })
	early, err := net.Dial("tcp", "127.0.0.1:"+r.Port)
	if err != nil {
		t.Fatal(err)
	}
	defer early.Close()
	if _, err := fmt.Fprintf(early, "POST /mcp HTTP/1.1\r\nHost: localhost\r\nAccept: application/json, text/event-stream\r\n"+
		"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(hello), hello); err != nil {
		t.Fatal(err)
	}
	const clients = 5
	greeted := make(chan error, clients)
	for range clients {
		go func() { greeted <- r.greet(t.Context(), r.streamable()) }()
	}
	// One that asks all the time sees the hand-over from near.
	asked := make(chan error, 1)
	go func() {
		for {
			got, err := r.ask(http.MethodGet, "/health", "", nil)
			if err != nil || got.status == http.StatusOK {
				asked <- err
				return
			}
		}
	}()
	s.open()
	for range clients {
		if err := <-greeted; err != nil {
			t.Errorf("a client that came early: %v", err)
		}
	}
	if err := <-asked; err != nil {
		t.Errorf("a health check during the hand-over: %v", err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(early), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Mcp-Session-Id") == "" {
		t.Errorf("a request that came before there was a server got %s", resp.Status)
	}
}

func TestSIGTERMDuringThePullEndsTheStart(t *testing.T) {
	t.Parallel()
	r := run(t, sell(t, greeter, v1.Config{}))
	r.awaitHealth(http.StatusServiceUnavailable, func(h health) bool { return h.Phase == "pulling" })
	waiting := make(chan answer, 1)
	go func() {
		got, err := r.ask(http.MethodPost, "/mcp", hello, headers())
		if err != nil {
			t.Errorf("a client that waits: %v", err)
		}
		waiting <- got
	}()
	for r.mustAsk(http.MethodGet, "/health", "", nil).status == 0 {
	}
	if status, took := r.End(syscall.SIGTERM); status != 143 || took > 2*time.Second {
		t.Errorf("trap 58: it ends with %d after %s, want 143 at once", status, took)
	}
	if got := <-waiting; got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" {
		t.Errorf("a client that waited got %+v, want 503", got)
	}
}

func TestAnImageThatCannotStartEndsTheRunner(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		config  v1.Config
		environ []string
		status  int
		says    string
	}{
		{"no such tag", v1.Config{}, []string{"IMAGE=127.0.0.1:1/acme/none:1"}, 125, "cannot resolve 127.0.0.1:1/acme/none:1"},
		{"no such program", v1.Config{Entrypoint: []string{"/app/none"}}, nil, 127, `cannot exec "/app/none": no such file`},
		{"a port that is taken", v1.Config{}, []string{"MCP_HOST=192.0.2.1"}, 125, "cannot listen at 192.0.2.1:"},
		{"a variable that is wrong", v1.Config{}, []string{"RUNNER_SESSION_KEY=short"}, 78, "RUNNER_SESSION_KEY"},
		{"an origin that is none", v1.Config{}, []string{"RUNNER_ALLOWED_ORIGINS=x"}, 78, "RUNNER_ALLOWED_ORIGINS"},
		{"two things at one path", v1.Config{}, []string{"MCP_PATH=/sse"}, 78, `both take the path "/sse"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := run(t, sell(t, greeter, tt.config).open(), tt.environ...)
			if status := r.Wait(); status != tt.status || !strings.Contains(r.Log(), tt.says) {
				t.Errorf("it ends with %d, want %d and %q in the log", status, tt.status, tt.says)
			}
		})
	}
}

func TestTheSecondStartFindsTheImage(t *testing.T) {
	t.Parallel()
	s := sell(t, greeter, v1.Config{}).open()
	dir := root(t)
	first := run(t, s, "RUNNER_ROOT="+dir)
	first.awaitReady()
	first.End(syscall.SIGINT)
	second := run(t, s, "RUNNER_ROOT="+dir)
	second.awaitReady()
	if !strings.Contains(second.Log(), "nothing to pull") {
		t.Error("trap 39: the image was pulled again")
	}
	if err := second.greet(t.Context(), second.streamable()); err != nil {
		t.Error(err)
	}
}

func TestMetricsAreThereOnRequest(t *testing.T) {
	t.Parallel()
	s := sell(t, greeter, v1.Config{}).open()
	with, without := run(t, s, "RUNNER_METRICS=on", "RUNNER_PAGE=off"), run(t, s)
	with.awaitReady()
	without.awaitReady()
	got := with.mustAsk(http.MethodGet, "/metrics", "", nil)
	if got.status != http.StatusOK || !strings.Contains(got.body, "fastmcp_runner_build_info") {
		t.Errorf("the metrics are %d %.200q", got.status, got.body)
	}
	if got := without.mustAsk(http.MethodGet, "/metrics", "", nil); got.status != http.StatusNotFound {
		t.Errorf("without being asked for, the metrics are %d", got.status)
	}
	if got := with.mustAsk(http.MethodGet, "/", "", nil); got.status != http.StatusOK || got.body != "FastMCP Runner\n" {
		t.Errorf("the page that is off is %d %q", got.status, got.body)
	}
}

func TestTheLogKeepsItsForm(t *testing.T) {
	t.Parallel()
	r := run(t, sell(t, greeter, v1.Config{}).open(), "LOG_FORMAT=json", "LOG_LEVEL=debug")
	r.awaitReady()
	r.End(syscall.SIGTERM)
	for line := range strings.Lines(r.Log()) {
		if !strings.HasPrefix(line, `{"ts":`) {
			t.Errorf("the log has the line %q", line)
		}
	}
	if strings.Contains(r.Log(), "correct-horse") {
		t.Error("the log shows the password")
	}
}

func TestAnybodyMayUseAPublicServerAndIsWarnedOf(t *testing.T) {
	t.Parallel()
	const warning = "Anybody who reaches this address may use the server"
	s := sell(t, greeter, v1.Config{}).open()
	open := run(t, s, "MCP_HOST=0.0.0.0")
	closed := run(t, s, "MCP_HOST=0.0.0.0", "RUNNER_AUTH_TOKEN=open-sesame")
	open.awaitReady()
	closed.awaitReady()
	got := map[string]bool{"open": strings.Contains(open.Log(), warning), "closed": strings.Contains(closed.Log(), warning)}
	if diff := cmp.Diff(map[string]bool{"open": true, "closed": false}, got); diff != "" {
		t.Errorf("who is warned (-want +got):\n%s", diff)
	}
	if got := closed.mustAsk(http.MethodPost, "/mcp", hello, headers()); got.status != http.StatusUnauthorized {
		t.Errorf("without the token: %+v", got)
	}
	if got := closed.mustAsk(http.MethodPost, "/mcp", hello, headers("Authorization", "Bearer open-sesame")); got.status != http.StatusOK {
		t.Errorf("with the token: %+v", got)
	}
	if page := closed.mustAsk(http.MethodGet, "/", "", nil).body; strings.Contains(page, "runtime_facts") || strings.Contains(page, "open-sesame") {
		t.Errorf("the page shows strangers %s", page)
	}
}
