package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// stopTimeout bounds how long requests in flight may take after the signal to
// stop; a container engine waits 10 seconds before it kills.
const stopTimeout = time.Second

// serve answers MCP clients over the transport of s until ctx is done.
func serve(ctx context.Context, s settings) error {
	server := newServer()
	pick := func(*http.Request) *mcp.Server { return server }
	switch s.transport {
	case "streamable-http":
		return serveHTTP(ctx, s, mcp.NewStreamableHTTPHandler(pick, nil))
	case "sse":
		return serveHTTP(ctx, s, mcp.NewSSEHandler(pick, nil))
	case "stdio":
		return serveStdio(ctx, server)
	}
	return fmt.Errorf("MCP_TRANSPORT=%q: not streamable-http, sse or stdio", s.transport)
}

// serveStdio answers the one client at standard input, which ends the server
// by closing it.
func serveStdio(ctx context.Context, server *mcp.Server) error {
	err := server.Run(ctx, &mcp.StdioTransport{})
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// serveHTTP answers with endpoint at the path of s, and at /health.
func serveHTTP(ctx context.Context, s settings, endpoint http.Handler) error {
	mux := http.NewServeMux()
	mux.Handle(s.path, endpoint)
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusOK)
	})
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", net.JoinHostPort(s.host, s.port))
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "greeter: %s at http://%s%s\n", s.transport, listener.Addr(), s.path)
	return serveUntil(ctx, newHTTPServer(ctx, mux), listener)
}

// newHTTPServer returns a server whose requests end with ctx: an open event
// stream would otherwise keep Shutdown waiting until it gives up.
func newHTTPServer(ctx context.Context, handler http.Handler) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
}

// serveUntil serves until ctx is done, then lets requests in flight end, and
// cuts off those that take too long.
func serveUntil(ctx context.Context, srv *http.Server, listener net.Listener) error {
	served := make(chan error, 1)
	go func() { served <- srv.Serve(listener) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	err := srv.Shutdown(grace)
	if errors.Is(err, context.DeadlineExceeded) {
		return srv.Close()
	}
	return err
}
