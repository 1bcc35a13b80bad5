package stdio_test

import (
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/drengskapur/fastmcp-runner/test/program"
)

func TestACrashLoopIsToldAndSlowsDown(t *testing.T) {
	t.Parallel()
	r := run(t, sell(t, spy, v1.Config{}).open(), `RUNNER_CMD=["fail"]`, "MCP_ENV_DATABASE=hunter22")
	h := r.awaitHealth(http.StatusServiceUnavailable, func(h health) bool { return h.Status == "failing" })
	if !strings.Contains(h.Reason, "ended with exit code 3") || !strings.Contains(h.Reason, "cannot find the database [redacted]") {
		t.Errorf("the reason is %q", h.Reason)
	}
	got := r.mustAsk(http.MethodPost, "/mcp", hello, headers())
	if !strings.Contains(got.body, "cannot find the database [redacted]") || !strings.Contains(got.body, `"error"`) {
		t.Errorf("a client is told %+v", got)
	}
	var last answer
	for deadline := time.Now().Add(patience); last.status != http.StatusServiceUnavailable; last = r.mustAsk(http.MethodPost, "/mcp", hello, headers()) {
		if time.Now().After(deadline) {
			t.Fatalf("a client is never asked to wait: %+v", last)
		}
	}
	if last.header.Get("Retry-After") == "" {
		t.Errorf("a client is told %+v, want Retry-After", last)
	}
	if strings.Contains(r.Log(), "hunter22") {
		t.Error("the log shows a variable that was passed to the server alone")
	}
	if status, _ := r.End(syscall.SIGTERM); status != 0 {
		t.Errorf("SIGTERM ends it with %d", status)
	}
}

func TestSessionsSurviveARestart(t *testing.T) {
	t.Parallel()
	s := sell(t, greeter, v1.Config{}).open()
	port := program.FreePort(t)
	environ := []string{"RUNNER_ROOT=" + root(t), "RUNNER_SESSION_KEY=0123456789abcdef0123456789abcdef", "PORT=" + port}
	first := run(t, s, environ...)
	first.Port = port
	first.awaitReady()
	id := first.begin()
	first.End(syscall.SIGTERM)

	second := run(t, s, environ...)
	second.Port = port
	second.awaitReady()
	tampered := []byte(id)
	tampered[len(tampered)/2] ^= 1
	if got := second.mustAsk(http.MethodPost, "/mcp", list, headers("Mcp-Session-Id", string(tampered))); got.status != http.StatusNotFound {
		t.Errorf("a tampered session: %+v, want 404", got)
	}
	if got := second.mustAsk(http.MethodPost, "/mcp", list, headers("Mcp-Session-Id", id)); got.status != http.StatusOK || !strings.Contains(got.body, "runtime_facts") {
		t.Errorf("the old session: %+v, want the tools", got)
	}
	if !strings.Contains(second.Log(), "its server begins anew and remembers nothing") {
		t.Error("the log does not say what is lost")
	}
	second.End(syscall.SIGTERM)
	third := run(t, s, append(environ, "RUNNER_SESSION_KEY=fedcba9876543210")...)
	third.Port = port
	third.awaitReady()
	if got := third.mustAsk(http.MethodPost, "/mcp", list, headers("Mcp-Session-Id", id)); got.status != http.StatusNotFound {
		t.Errorf("a session of another key: %+v, want 404", got)
	}
}

func TestWhoDoesNotFitIsSentAway(t *testing.T) {
	t.Parallel()
	r := run(t, sell(t, greeter, v1.Config{}).open(), "RUNNER_MAX_SESSIONS=2")
	r.awaitReady()
	first, second := r.begin(), r.begin()
	third := r.mustAsk(http.MethodPost, "/mcp", hello, headers())
	if third.status != http.StatusServiceUnavailable || third.header.Get("Retry-After") == "" {
		t.Errorf("the third of two sessions: %+v, want 503", third)
	}
	if got := r.mustAsk(http.MethodDelete, "/mcp", "", headers("Mcp-Session-Id", first)); got.status != http.StatusOK {
		t.Errorf("DELETE: %+v", got)
	}
	r.begin()
	if got := r.mustAsk(http.MethodPost, "/mcp", list, headers("Mcp-Session-Id", second)); got.status != http.StatusOK {
		t.Errorf("the second session: %+v", got)
	}
}

func TestIdleSessionsEnd(t *testing.T) {
	t.Parallel()
	r := run(t, sell(t, greeter, v1.Config{}).open(), "RUNNER_IDLE_TIMEOUT=100ms")
	r.awaitReady()
	r.begin()
	r.awaitHealth(http.StatusOK, func(h health) bool { return h.Sessions == 0 })
}

func TestADeafServerIsKilledInTime(t *testing.T) {
	t.Parallel()
	r := run(t, sell(t, spy, v1.Config{}).open(), `RUNNER_CMD=["deaf"]`, "RUNNER_GRACE=2s")
	r.awaitReady()
	r.begin()
	pids := r.children()
	if status, took := r.End(syscall.SIGTERM); status != 0 || took > 2500*time.Millisecond {
		t.Errorf("it ends with %d after %s, want 0 within the grace of 2 s", status, took)
	}
	wantGone(t, pids)
}

func TestNothingIsLeftOfARunner(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		signal syscall.Signal
		status int
	}{
		{"that is stopped", syscall.SIGTERM, 0},
		{"that is interrupted", syscall.SIGINT, 0},
		{"that is killed", syscall.SIGKILL, -1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := run(t, sell(t, greeter, v1.Config{}).open())
			r.awaitReady()
			r.begin()
			r.begin()
			pids := r.children()
			if len(pids) < 2 {
				t.Errorf("two sessions have the processes %v", pids)
			}
			if status, took := r.End(tt.signal); status != tt.status || took > 2*time.Second {
				t.Errorf("it ends with %d after %s, want %d", status, took, tt.status)
			}
			wantGone(t, pids)
		})
	}
}
