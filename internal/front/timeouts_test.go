package front_test

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drengskapur/fastmcp-runner/internal/front"
)

// pipe is a listener with one connection.
type pipe struct{ conns chan net.Conn }

func (p pipe) Accept() (net.Conn, error) {
	conn, ok := <-p.conns
	if !ok {
		return nil, net.ErrClosed
	}
	return conn, nil
}

func (p pipe) Close() error { return nil }

func (p pipe) Addr() net.Addr { return &net.TCPAddr{} }

func TestConnectionsThatSayNothingAreClosed(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, said string
		limit      time.Duration
	}{
		{"half a header", "GET / HTTP/1.1\r\nHost: lo", 10 * time.Second},
		{"nothing", "", 10 * time.Second},
		{"nothing after a request", "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", 2 * time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				client, ours := net.Pipe()
				listener := pipe{make(chan net.Conn, 1)}
				listener.conns <- ours
				close(listener.conns)
				answer := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
				server := front.NewServer(answer, slog.New(slog.DiscardHandler))
				served := make(chan error, 1)
				go func() { served <- server.Serve(listener) }()
				began := time.Now()
				go func() { _, _ = io.WriteString(client, tt.said) }()
				if _, err := io.Copy(io.Discard, client); err != nil && !errors.Is(err, io.ErrClosedPipe) {
					t.Fatal(err)
				}
				if took := time.Since(began); took != tt.limit {
					t.Errorf("closed after %s, want %s", took, tt.limit)
				}
				if err := server.Close(); err != nil {
					t.Error(err)
				}
				if err := <-served; !errors.Is(err, net.ErrClosed) {
					t.Error(err)
				}
				_ = client.Close()
			})
		})
	}
}
