// Package front is the HTTP server of a bridge: it listens, tells how the
// bridge is, and ends in time when it is told to. It knows nothing of MCP,
// which is the bridge's business, nor of where the stdio server comes from.
package front

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/drengskapur/fastmcp-runner/internal/bridge"
)

// headerTimeout is how long a client may take to send the header of a request.
const headerTimeout = 10 * time.Second

// Options say where to serve what.
type Options struct {
	// Bridge answers everything but health. Serve shuts it down.
	Bridge *bridge.Bridge
	// HealthPath is the URL path that says how the bridge is, without a token.
	HealthPath string
	// Grace bounds how long the end may take.
	Grace time.Duration
}

// Listen opens the address, such as 0.0.0.0:8000.
func Listen(ctx context.Context, host string, port int) (net.Listener, error) {
	address := net.JoinHostPort(host, strconv.Itoa(port))
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("cannot listen at %s: %w", address, err)
	}
	return listener, nil
}

// IsPublic reports whether others than this machine can reach the listener.
func IsPublic(listener net.Listener) bool {
	tcp, ok := listener.Addr().(*net.TCPAddr)
	return !ok || !tcp.IP.IsLoopback()
}

// Serve serves until the context ends, and then ends all sessions. It closes
// the listener.
func Serve(ctx context.Context, listener net.Listener, opts Options) error {
	server := &http.Server{Handler: handler(opts), ReadHeaderTimeout: headerTimeout}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	var err error
	select {
	case err = <-failed:
	case <-ctx.Done():
	}
	// The context is over: the end has a limit of its own.
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), opts.Grace)
	defer cancel()
	// The bridge first: its open streams would keep the server waiting.
	opts.Bridge.Shutdown(ending)
	if down := server.Shutdown(ending); down != nil {
		down = server.Close()
		err = errors.Join(err, down)
	}
	if err != nil && !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("cannot serve at %s: %w", listener.Addr(), err)
	}
	return nil
}

func handler(opts Options) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", opts.Bridge)
	mux.HandleFunc("GET "+opts.HealthPath, func(w http.ResponseWriter, _ *http.Request) {
		writeHealth(w, opts.Bridge.Health())
	})
	return mux
}

// health is what a health check is told.
type health struct {
	Status   string `json:"status"` // "ok" or "failing"
	Sessions int    `json:"sessions"`
	Reason   string `json:"reason,omitempty"`
}

// writeHealth answers 503 while the server does not start, with the time after
// which it is tried again.
func writeHealth(w http.ResponseWriter, h bridge.Health) {
	body := health{Status: "ok", Sessions: h.Sessions}
	code := http.StatusOK
	if h.Failing {
		body.Status, code = "failing", http.StatusServiceUnavailable
		w.Header().Set("Retry-After", strconv.Itoa(int(h.RetryAfter.Seconds())+1))
		if h.Err != nil {
			body.Reason = h.Err.Error()
		}
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	// A client that went away is no loss.
	_ = json.NewEncoder(w).Encode(body)
}
