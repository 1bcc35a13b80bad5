package front_test

import (
	"context"
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/drengskapur/fastmcp-runner/internal/bridge"
	"github.com/drengskapur/fastmcp-runner/internal/bridge/child"
	"github.com/drengskapur/fastmcp-runner/internal/front"
)

// serve serves a bridge of the program at path on a port that the kernel
// chooses, and returns its URL and what ends it.
func serve(t *testing.T, path string) (url string, end func() error) {
	t.Helper()
	listener, err := front.Listen(t.Context(), "127.0.0.1", 0)
	if err != nil {
		t.Fatal(err)
	}
	if front.IsPublic(listener) {
		t.Errorf("%s counts as public", listener.Addr())
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	b := bridge.New(bridge.Options{Command: child.Command{Path: path, Argv: []string{path}}, Start: time.Second, Grace: time.Second})
	go func() {
		ended <- front.Serve(ctx, listener, front.Options{Bridge: b, HealthPath: "/health", Grace: 5 * time.Second})
	}()
	return "http://" + listener.Addr().String(), func() error {
		cancel()
		return <-ended
	}
}

// health asks for the health and returns the status code and what was said.
func health(t *testing.T, url string) (code int, status string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/health", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var body struct{ Status string }
	if err := json.NewDecoder(resp.Body).Decode(&body); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, body.Status
}

func TestServeTellsItsHealthAndEnds(t *testing.T) {
	t.Parallel()
	url, end := serve(t, "/bin/cat")
	if code, status := health(t, url); code != http.StatusOK || status != "ok" {
		t.Errorf("health is %d %q, want 200 ok", code, status)
	}
	if err := end(); err != nil {
		t.Errorf("Serve = %v, want nil", err)
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
	if _, err := front.Listen(t.Context(), "256.0.0.1", 1); err == nil {
		t.Error("Listen took an address that is none")
	}
}
