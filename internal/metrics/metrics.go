// Package metrics tells Prometheus what a bridge does. It knows neither MCP nor
// HTTP but for how Prometheus asks.
package metrics

import (
	"net/http"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/common/expfmt"

	"github.com/drengskapur/fastmcp-runner/internal/bridge"
)

// Options say what is told.
type Options struct {
	// Stats returns what the bridge has counted.
	Stats func() bridge.Stats
	// Version is the version of the runner.
	Version string
	// PulledBytes is how much of the image's layers was read, and PullTook how
	// long that took; both zero if nothing was pulled.
	PulledBytes int64
	PullTook    time.Duration
}

// New returns the handler of a scrape. It has a registry of its own.
func New(opts Options) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		newCollector(opts),
	)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { scrape(w, r, registry) })
}

// scrape answers in the form that the scraper prefers. Package promhttp does
// the same, and brings compressors along that weigh more than all the rest.
func scrape(w http.ResponseWriter, r *http.Request, from prometheus.Gatherer) {
	families, err := from.Gather()
	if err != nil {
		http.Error(w, "cannot gather the metrics: "+err.Error(), http.StatusInternalServerError)
		return
	}
	form := expfmt.NegotiateAccept(r.Header, expfmt.DefaultAcceptedFormats()...)
	w.Header().Set("Content-Type", string(form))
	out := expfmt.NewEncoder(w, form)
	for _, family := range families {
		if out.Encode(family) != nil {
			return // the scraper went away
		}
	}
}

// collector reads what the bridge has counted when it is asked, so that nothing
// is counted twice.
type collector struct {
	opts Options

	build, pulled, pullTook            *prometheus.Desc
	failing, sessions, opened          *prometheus.Desc
	children, starts, crashes          *prometheus.Desc
	inFlight, calls, durations         *prometheus.Desc
	receivedBytes, sentBytes, refusals *prometheus.Desc
}

func newCollector(opts Options) *collector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("fastmcp_runner_"+name, help, labels, nil)
	}
	return &collector{
		opts:          opts,
		build:         desc("build_info", "The build of the runner; always 1.", "version", "go_version"),
		pulled:        desc("pulled_bytes", "Bytes of the image's layers that this start has read."),
		pullTook:      desc("pull_duration_seconds", "How long this start took to read and lay the image's layers."),
		failing:       desc("server_failing", "1 if the server does not start (a crash loop), 0 otherwise."),
		sessions:      desc("sessions", "Sessions that are open, the runner's own among them."),
		opened:        desc("sessions_opened_total", "Sessions that were opened."),
		children:      desc("server_processes", "Server processes that run."),
		starts:        desc("server_starts_total", "Server processes that were started."),
		crashes:       desc("server_crashes_total", "Server processes that ended by themselves."),
		inFlight:      desc("calls_in_flight", "Requests of clients that wait for the server."),
		calls:         desc("calls_total", "Requests of clients that are over, by method and outcome.", "method", "outcome"),
		durations:     desc("call_duration_seconds", "How long requests of clients took, by method.", "method"),
		receivedBytes: desc("received_bytes_total", "Bytes of messages from clients."),
		sentBytes:     desc("sent_bytes_total", "Bytes of messages to clients."),
		refusals:      desc("refused_requests_total", "Requests that were not let in, by reason.", "reason"),
	}
}

// Describe sends the metrics that there may be.
func (c *collector) Describe(to chan<- *prometheus.Desc) {
	prometheus.DescribeByCollect(c, to)
	to <- c.calls
	to <- c.durations
}

// Collect sends the metrics of now.
func (c *collector) Collect(to chan<- prometheus.Metric) {
	send := func(desc *prometheus.Desc, kind prometheus.ValueType, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(desc, kind, value, labels...)
	}
	gauge := func(desc *prometheus.Desc, value float64) { send(desc, prometheus.GaugeValue, value) }
	counter := func(desc *prometheus.Desc, value uint64) { send(desc, prometheus.CounterValue, float64(value)) }

	s := c.opts.Stats()
	send(c.build, prometheus.GaugeValue, 1, c.opts.Version, runtime.Version())
	gauge(c.pulled, float64(c.opts.PulledBytes))
	gauge(c.pullTook, c.opts.PullTook.Seconds())
	gauge(c.failing, map[bool]float64{true: 1}[s.Failing])
	gauge(c.sessions, float64(s.Sessions))
	counter(c.opened, s.Opened)
	gauge(c.children, float64(s.Children))
	counter(c.starts, s.Starts)
	counter(c.crashes, s.Crashes)
	gauge(c.inFlight, float64(s.InFlight))
	counter(c.receivedBytes, s.Received)
	counter(c.sentBytes, s.Sent)
	for reason, n := range s.Refused {
		send(c.refusals, prometheus.CounterValue, float64(n), reason)
	}
	for _, calls := range s.Calls {
		for outcome, n := range calls.Outcomes {
			send(c.calls, prometheus.CounterValue, float64(n), calls.Method, outcome)
		}
		to <- c.histogram(calls)
	}
}

func (c *collector) histogram(calls bridge.CallStats) prometheus.Metric {
	var count uint64
	for _, n := range calls.Outcomes {
		count += n
	}
	buckets := map[float64]uint64{}
	for i, bound := range bridge.DurationBounds() {
		// Counted at different moments, they may be ahead of the whole.
		buckets[bound.Seconds()] = min(calls.Within[i], count)
	}
	return prometheus.MustNewConstHistogram(c.durations, count, calls.Took.Seconds(), buckets, calls.Method)
}
