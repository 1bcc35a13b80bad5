// Package front is the HTTP server in front of a stdio server: it listens from
// the first moment, tells how things are, lets early clients wait, and ends in
// time. It knows nothing of MCP, which is the bridge's business, nor of where
// the stdio server comes from.
package front

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/drengskapur/fastmcp-runner/internal/bridge"
)

const (
	// headerTimeout is how long a client may take to send the header of a
	// request, and maxHeaderBytes how long that may be. An id of a session
	// alone may have 3 KiB.
	headerTimeout  = 10 * time.Second
	maxHeaderBytes = 64 << 10
	// idleTimeout is how long a connection may stay open between requests.
	// It is longer than proxies keep theirs, so that they do not send a
	// request to a connection that we are closing.
	idleTimeout = 2 * time.Minute
)

// Options say what to serve.
type Options struct {
	Site

	// Bridge serves MCP. Serve shuts it down.
	Bridge *bridge.Bridge
	// Metrics serves /metrics to those whom the bridge admits; nil serves
	// none.
	Metrics http.Handler
	// Grace bounds how long the end may take.
	Grace time.Duration
	// Log gets what becomes of the server.
	Log *slog.Logger
}

// Listen opens the address, such as 0.0.0.0:8000.
func Listen(ctx context.Context, host string, port int) (*net.TCPListener, error) {
	address := net.JoinHostPort(host, strconv.Itoa(port))
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("cannot listen at %s: %w", address, withoutAddress(err))
	}
	tcp, ok := listener.(*net.TCPListener)
	if !ok {
		panic("internal error: a TCP listener is none")
	}
	return tcp, nil
}

// withoutAddress strips what package net says of the operation and the address.
func withoutAddress(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Err
	}
	return err
}

// IsPublic reports whether others than this machine can reach the listener.
func IsPublic(listener net.Listener) bool {
	tcp, ok := listener.Addr().(*net.TCPAddr)
	return !ok || !tcp.IP.IsLoopback()
}

// Serve serves until the context ends, and then ends all sessions. It closes
// the listener.
func Serve(ctx context.Context, listener net.Listener, opts Options) error {
	probing, stop := context.WithCancel(ctx)
	defer stop()
	p := &prober{bridge: opts.Bridge, image: opts.Image, log: opts.Log}
	var tasks sync.WaitGroup
	tasks.Go(func() { p.run(probing) })
	server := newServer(opts.handler(p), opts.Log)
	if err := shed(); err != nil {
		opts.Log.Debug("Cannot give memory back", "err", err)
	}
	failed := make(chan error, 1)
	tasks.Go(func() { failed <- server.Serve(listener) })
	var err error
	select {
	case err = <-failed:
	case <-ctx.Done():
	}
	stop()
	// The context is over: the end has a limit of its own.
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), opts.Grace)
	defer cancel()
	tasks.Go(func() { opts.Bridge.Shutdown(ending) })
	// At once: it closes the listener, and waits for the streams, which the
	// bridge ends.
	if down := server.Shutdown(ending); down != nil {
		err = errors.Join(err, server.Close())
	}
	tasks.Wait()
	if err != nil && !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("cannot serve at %s: %w", listener.Addr(), err)
	}
	return nil
}

// newServer returns a server that waits for no request for ever. It has no time
// limit for answers, because streams have no end; the bridge limits each write.
func newServer(handler http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           limitUnread(handler),
		ReadHeaderTimeout: headerTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		IdleTimeout:       idleTimeout,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// metricsPath is where Prometheus looks.
const metricsPath = "/metrics"

func (opts Options) handler(p *prober) http.Handler {
	home := opts.home(p.state, p.found, opts.Bridge.Admits)
	health := opts.health(p.state, opts.Bridge.Admits)
	var metrics http.Handler
	if opts.Metrics != nil {
		metrics = opts.Bridge.Guard(opts.Metrics)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case opts.isHealth(r):
			health.ServeHTTP(w, r)
		case opts.isHome(r):
			home.ServeHTTP(w, r)
		case strings.TrimSuffix(r.URL.Path, "/") == metricsPath && metrics != nil:
			metrics.ServeHTTP(w, r)
		default:
			opts.Bridge.ServeHTTP(w, r)
		}
	})
}
