// Package metrics counts what a bridge does, for Prometheus. It knows nothing
// of MCP.
package metrics

import (
	"fmt"
	"net/http"
	"time"
)

// Options say what is counted.
type Options struct {
	// Version is the version of the runner.
	Version string
}

// Metrics are the metrics of one runner.
type Metrics struct {
	opts Options
}

// New returns metrics of nothing.
func New(opts Options) *Metrics { return &Metrics{opts: opts} }

// Pulled notes that the image was pulled: how many bytes of its layers were
// read, and how long that took.
func (m *Metrics) Pulled(bytes int64, took time.Duration) {}

// ServeHTTP answers a scrape.
func (m *Metrics) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = fmt.Fprintf(w, "fastmcp_runner_build_info{version=%q} 1\n", m.opts.Version)
}
