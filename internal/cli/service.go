package cli

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/drengskapur/fastmcp-runner/internal/boot"
	"github.com/drengskapur/fastmcp-runner/internal/bridge"
	"github.com/drengskapur/fastmcp-runner/internal/bridge/child"
	"github.com/drengskapur/fastmcp-runner/internal/config"
	"github.com/drengskapur/fastmcp-runner/internal/front"
	"github.com/drengskapur/fastmcp-runner/internal/host"
	"github.com/drengskapur/fastmcp-runner/internal/metrics"
	"github.com/drengskapur/fastmcp-runner/internal/origins"
)

// service is a stdio server that is to be served over HTTP, in a form that
// passes from one process to the next. It holds nothing that is not needed to
// serve: no credential of a registry.
type service struct {
	Site    front.Site
	Command child.Command

	SSE        bridge.SSEMode
	Token      string
	SessionKey []byte
	// Environ says under which names clients may come.
	Environ  []string
	Shared   bool
	Sessions int
	Idle     time.Duration
	Grace    time.Duration
	Metrics  bool
	// Masked is what the log does not show of what the server writes.
	Masked []string

	// Pulled are the bytes that were pulled, and PullTook the time that took.
	Pulled   int64
	PullTook time.Duration
	// Guests are what was read of the connections that are taken over.
	Guests [][]byte
}

// newService returns the service that the configuration asks for, of no server
// yet.
func newService(ctx context.Context, p Process, cfg *config.Config) *service {
	svc := &service{
		Token: cfg.AuthToken.Reveal(), SessionKey: []byte(cfg.SessionKey.Reveal()),
		Environ: slices.Concat(cfg.ServerEnv, allowedOrigins(p.Environ)),
		Shared:  cfg.Shared, Sessions: sessionsOf(cfg, host.Probe(ctx, host.Options{})), Idle: cfg.IdleTimeout, Grace: cfg.Grace, Metrics: cfg.Metrics,
		Masked: masked(cfg),
		Site: front.Site{
			HealthPath: pathOf(cfg.HealthcheckPath), Page: cfg.Page, NeedsToken: !cfg.AuthToken.Empty(), Version: p.Version,
		},
	}
	if cfg.Image != nil {
		svc.Site.Image = config.Familiar(cfg.Image)
	}
	svc.SSE = map[config.SSE]bridge.SSEMode{config.SSEOff: bridge.SSEOff, config.SSEOn: bridge.SSEOn, config.SSEOnly: bridge.SSEOnly}[cfg.SSE]
	if svc.SSE != bridge.SSEOnly {
		svc.Site.Path = pathOf(cfg.Path)
	}
	if svc.SSE != bridge.SSEOff {
		svc.Site.SSEPath, svc.Site.MessagesPath = bridge.SSEPath, bridge.MessagesPath
	}
	return svc
}

// pathOf returns the path of a URL, unescaped.
func pathOf(target string) string {
	u, err := url.ParseRequestURI(target)
	if err != nil {
		panic("internal error: a path of the configuration is none: " + err.Error())
	}
	return u.Path
}

// allowedOrigins returns the one variable of ours that says who may come.
func allowedOrigins(environ []string) []string {
	return slices.DeleteFunc(slices.Clone(environ), func(entry string) bool {
		return !strings.HasPrefix(entry, "RUNNER_ALLOWED_ORIGINS=")
	})
}

const (
	// Each session has a process of its own. Idle, a server on FastMCP 4 takes
	// 70 MB and server-everything on Node 22 43 MB and 7 threads, as measured;
	// the rest is for what they do.
	memoryOfSession = 128 << 20
	tasksOfSession  = 32
	// leastSessions is one client and the one that it opens before it has
	// closed the last.
	leastSessions = 2
	mostSessions  = 100
)

// sessionsOf is how many sessions there may be: as configured, or as many as
// this host has room for.
func sessionsOf(cfg *config.Config, facts host.Facts) int {
	switch {
	case cfg.MaxSessions > 0:
		return cfg.MaxSessions
	case cfg.Shared:
		return mostSessions
	}
	return sessionsFor(facts.Limits.MemoryBytes, facts.Machine.MemoryBytes, facts.Limits.PIDs)
}

// sessionsFor returns how many sessions there is room for. A limit that is not
// positive is none.
func sessionsFor(memoryLimit, memory, tasks int64) int {
	places := int64(mostSessions)
	for _, bytes := range []int64{memoryLimit, memory} {
		if bytes > 0 {
			places = min(places, bytes/memoryOfSession)
		}
	}
	if tasks > 0 {
		places = min(places, tasks/tasksOfSession)
	}
	return int(max(places, leastSessions))
}

// minSecret is the length from which on a value is masked: shorter ones would
// black out common words.
const minSecret = 4

// masked are the values that the log does not show of what the server writes:
// what was passed to it alone, and what it should not know.
func masked(cfg *config.Config) []string {
	values := make([]string, 0, 2+len(cfg.Passthrough))
	values = append(values, cfg.AuthToken.Reveal(), cfg.SessionKey.Reveal())
	for _, entry := range cfg.Passthrough {
		_, value, _ := strings.Cut(entry, "=")
		values = append(values, strings.Split(value, "\n")...) // a log shows one line at a time
	}
	return slices.DeleteFunc(values, func(value string) bool { return len(value) < minSecret })
}

// mask replaces what the log does not show.
func (svc *service) mask() func(string) string {
	pairs := make([]string, 0, 2*len(svc.Masked))
	for _, value := range svc.Masked {
		pairs = append(pairs, value, "[redacted]")
	}
	return strings.NewReplacer(pairs...).Replace
}

// listen opens the address, and warns of strangers.
func listen(ctx context.Context, cfg *config.Config, log *slog.Logger) (*net.TCPListener, error) {
	listener, err := front.Listen(ctx, cfg.Host, cfg.Port)
	if err != nil {
		return nil, err
	}
	if front.IsPublic(listener) && cfg.AuthToken.Empty() {
		log.Warn("Anybody who reaches this address may use the server: set RUNNER_AUTH_TOKEN, or MCP_HOST=127.0.0.1",
			"address", listener.Addr().String())
	}
	return listener, nil
}

// hostOf returns the host and port by which clients on this machine reach an
// address: one that stands for all addresses is none that they can ask for.
func hostOf(addr net.Addr) string {
	if tcp, ok := addr.(*net.TCPAddr); ok && tcp.IP.IsUnspecified() {
		return net.JoinHostPort("localhost", strconv.Itoa(tcp.Port))
	}
	return addr.String()
}

// serve serves until the context ends.
func (svc *service) serve(ctx context.Context, p Process, listener net.Listener) error {
	log := p.logger(svc.Token, string(svc.SessionKey))
	allowed, err := origins.From(svc.Environ)
	if err != nil {
		return &boot.ConfigError{Err: err}
	}
	b := bridge.New(bridge.Options{
		Path: svc.Site.Path, Command: svc.Command, SSE: svc.SSE,
		Token: svc.Token, Origins: allowed, SessionKey: svc.SessionKey,
		Shared: svc.Shared, Sessions: svc.Sessions, Idle: svc.Idle,
		Grace: svc.Grace - svc.Grace/8, // the rest is for what comes after the servers
		Reap:  os.Getpid() == 1,
		Mask:  svc.mask(),
		Log:   log,
	})
	log.Info("Serving a stdio server", "command", strings.Join(svc.Command.Argv, " "), "sessions", svc.Sessions,
		"url", "http://"+hostOf(listener.Addr())+cmp.Or(svc.Site.Path, svc.Site.SSEPath))
	return front.Serve(ctx, listener, front.Options{
		Site: svc.Site, Bridge: b, Metrics: svc.metrics(b), Grace: svc.Grace, Log: log,
	})
}

// metrics returns what serves the metrics; nil if they are not wanted.
func (svc *service) metrics(b *bridge.Bridge) http.Handler {
	if !svc.Metrics {
		return nil
	}
	return metrics.New(metrics.Options{
		Stats: b.Stats, Version: svc.Site.Version, PulledBytes: svc.Pulled, PullTook: svc.PullTook,
	})
}

// hide keeps other processes of the same user, as the servers are, from looking
// into this one: into its memory, its descriptors, and what it was started with.
func hide() error {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("cannot hide from the server: %w", err)
	}
	return nil
}
