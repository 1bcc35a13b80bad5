package page_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drengskapur/fastmcp-runner/internal/page"
)

func TestHealthTellsTheTruth(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name       string
		state      page.State
		code       int
		retryAfter string
		body       map[string]any
	}{
		{"serving", page.State{Status: page.OK, Sessions: 2}, http.StatusOK, "", map[string]any{"status": "ok", "sessions": 2.0}},
		{
			"pulling",
			page.State{Status: page.Starting, Phase: page.Pulling, Image: image, Read: 12, Total: 40},
			http.StatusServiceUnavailable, "1",
			map[string]any{"status": "starting", "phase": "pulling", "image": image, "read_bytes": 12.0, "total_bytes": 40.0, "sessions": 0.0},
		},
		{
			"failing",
			page.State{Status: page.Failing, Reason: "it has ended", RetryAfter: 4500 * time.Millisecond},
			http.StatusServiceUnavailable, "5",
			map[string]any{"status": "failing", "reason": "it has ended", "sessions": 0.0},
		},
		{
			"failing, and nobody knows why",
			page.State{Status: page.Failing},
			http.StatusServiceUnavailable, "1",
			map[string]any{"status": "failing", "reason": "the server does not start: the runner's log says why", "sessions": 0.0},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			handler := page.Health(func() page.State { return tt.state }, nil)
			for _, method := range []string{http.MethodGet, http.MethodHead} {
				w := httptest.NewRecorder()
				handler.ServeHTTP(w, httptest.NewRequest(method, "/health", nil))
				if w.Code != tt.code || w.Header().Get("Retry-After") != tt.retryAfter || w.Header().Get("Cache-Control") != "no-store" {
					t.Errorf("%s answers %d, Retry-After %q", method, w.Code, w.Header().Get("Retry-After"))
				}
				var body map[string]any
				if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(tt.body, body); diff != "" {
					t.Errorf("body (-want +got):\n%s", diff)
				}
			}
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, httptest.NewRequest(http.MethodPut, "/health", nil))
			if w.Code != http.StatusMethodNotAllowed {
				t.Errorf("PUT answers %d", w.Code)
			}
		})
	}
}
