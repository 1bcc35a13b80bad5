package metrics_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/drengskapur/fastmcp-runner/internal/bridge"
	"github.com/drengskapur/fastmcp-runner/internal/metrics"
)

// scrape returns what Prometheus gets.
func scrape(t *testing.T, stats bridge.Stats) string {
	t.Helper()
	handler := metrics.New(metrics.Options{
		Stats: func() bridge.Stats { return stats }, Version: "1.2.3", PulledBytes: 52_100_000, PullTook: 4250 * time.Millisecond,
	})
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/plain; version=0.0.4") {
		t.Fatalf("%d %s: %s", w.Code, w.Header().Get("Content-Type"), w.Body)
	}
	return w.Body.String()
}

func busy() bridge.Stats {
	within := make([]uint64, len(bridge.DurationBounds()))
	for i := range within {
		within[i] = uint64(min(i, 3)) // one took up to 2.5 ms, one up to 5 ms, one up to 10 ms, and one longer than all
	}
	return bridge.Stats{
		Sessions: 3, Opened: 10, Children: 2, Starts: 11, Crashes: 1, Failing: true, InFlight: 4, Received: 1 << 40, Sent: 7,
		Calls: []bridge.CallStats{{
			Method: "tools/call", Took: 90 * time.Second, Within: within,
			Outcomes: map[string]uint64{"success": 2, "error": 1, "failure": 1, "cancelled": 0},
		}},
		Refused: map[string]uint64{"origin": 1, "token": 2},
	}
}

func TestTheMetricsOfABusyBridge(t *testing.T) {
	t.Parallel()
	var got []string
	for line := range strings.Lines(scrape(t, busy())) {
		if strings.HasPrefix(line, "fastmcp_runner_") && !strings.HasPrefix(line, "fastmcp_runner_build_info") {
			got = append(got, strings.TrimSpace(line))
		}
	}
	want := strings.Fields(strings.ReplaceAll(`
fastmcp_runner_call_duration_seconds_bucket{method="tools/call",le="0.001"}=0
fastmcp_runner_call_duration_seconds_bucket{method="tools/call",le="0.0025"}=1
fastmcp_runner_call_duration_seconds_bucket{method="tools/call",le="0.005"}=2
fastmcp_runner_call_duration_seconds_bucket{method="tools/call",le="0.01"}=3
fastmcp_runner_call_duration_seconds_bucket{method="tools/call",le="0.025"}=3
fastmcp_runner_call_duration_seconds_bucket{method="tools/call",le="0.05"}=3
fastmcp_runner_call_duration_seconds_bucket{method="tools/call",le="0.1"}=3
fastmcp_runner_call_duration_seconds_bucket{method="tools/call",le="0.25"}=3
fastmcp_runner_call_duration_seconds_bucket{method="tools/call",le="0.5"}=3
fastmcp_runner_call_duration_seconds_bucket{method="tools/call",le="1"}=3
fastmcp_runner_call_duration_seconds_bucket{method="tools/call",le="2.5"}=3
fastmcp_runner_call_duration_seconds_bucket{method="tools/call",le="5"}=3
fastmcp_runner_call_duration_seconds_bucket{method="tools/call",le="10"}=3
fastmcp_runner_call_duration_seconds_bucket{method="tools/call",le="30"}=3
fastmcp_runner_call_duration_seconds_bucket{method="tools/call",le="60"}=3
fastmcp_runner_call_duration_seconds_bucket{method="tools/call",le="+Inf"}=4
fastmcp_runner_call_duration_seconds_sum{method="tools/call"}=90
fastmcp_runner_call_duration_seconds_count{method="tools/call"}=4
fastmcp_runner_calls_in_flight=4
fastmcp_runner_calls_total{method="tools/call",outcome="cancelled"}=0
fastmcp_runner_calls_total{method="tools/call",outcome="error"}=1
fastmcp_runner_calls_total{method="tools/call",outcome="failure"}=1
fastmcp_runner_calls_total{method="tools/call",outcome="success"}=2
fastmcp_runner_pull_duration_seconds=4.25
fastmcp_runner_pulled_bytes=5.21e+07
fastmcp_runner_received_bytes_total=1.099511627776e+12
fastmcp_runner_refused_requests_total{reason="origin"}=1
fastmcp_runner_refused_requests_total{reason="token"}=2
fastmcp_runner_sent_bytes_total=7
fastmcp_runner_server_crashes_total=1
fastmcp_runner_server_failing=1
fastmcp_runner_server_processes=2
fastmcp_runner_server_starts_total=11
fastmcp_runner_sessions=3
fastmcp_runner_sessions_opened_total=10
`, "}=", "}="))
	for i, line := range got {
		name, value, _ := strings.Cut(line, " ")
		got[i] = name + "=" + value
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// TestTheMetricsAreAsPrometheusWantsThem holds names, units and texts against
// the conventions, by Prometheus' own tool.
func TestTheMetricsAreAsPrometheusWantsThem(t *testing.T) {
	t.Parallel()
	for _, stats := range []bridge.Stats{{}, busy()} {
		text := scrape(t, stats)
		problems, err := promlint.New(strings.NewReader(text)).Lint()
		if err != nil {
			t.Fatal(err)
		}
		for _, problem := range problems {
			t.Errorf("%s: %s", problem.Metric, problem.Text)
		}
		for _, name := range []string{"go_goroutines", "process_open_fds", `fastmcp_runner_build_info{go_version="go`, `version="1.2.3"} 1`, "fastmcp_runner_server_starts_total"} {
			if !strings.Contains(text, name) {
				t.Errorf("there is no %s", name)
			}
		}
	}
}
