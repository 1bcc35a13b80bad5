// Package config turns an environment, given as a value, into one Config or
// into all of its faults at once. It knows neither the process nor the
// network: the caller hands in the environment and a way to open the files
// that variables name.
package config

//go:generate go test -run TestConfigurationPage -update .

import (
	"cmp"
	"io/fs"
	"log/slog"
	"math"
	"slices"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/net/http/httpproxy"

	"github.com/drengskapur/fastmcp-runner/internal/allowlist"
	"github.com/drengskapur/fastmcp-runner/internal/ids"
	"github.com/drengskapur/fastmcp-runner/internal/secret"
)

// Source is what a Config is made from.
type Source struct {
	// Environ holds "NAME=value" strings, as os.Environ gives them.
	Environ []string
	// Open opens a file that a variable names, as os.Open does. With a nil
	// Open no file is read and the variables that name one are checked as
	// text only: enough for a health check, which needs none of them.
	Open func(name string) (fs.File, error)
	// Required names the variables that the command at hand cannot do
	// without, such as "IMAGE" and "PORT".
	Required []string
	// Serves is what the command serves, or would.
	Serves Served
}

// Served is a kind of server.
type Served int

// The kinds of servers.
const (
	// Nothing is served: values are checked by themselves.
	Nothing Served = iota
	// Image is the server of an image: a bridge is in front of it if it speaks
	// stdio.
	Image
	// Command is a local command, with a bridge in front of it.
	Command
)

// Config is a checked configuration: every field holds a value that is right
// by itself and fits the others.
type Config struct {
	// Image is the image to run; nil when IMAGE is not set. Its String is the
	// reference as it was given, with a tag beside a digest kept.
	Image name.Reference
	// Port is where the server listens; 0 when PORT is not set.
	Port int
	// Transport is the transport that the server is told to speak.
	Transport Transport
	// Host is the address that the server is told to listen on.
	Host string
	// Path is the URL path of the MCP endpoint.
	Path string
	// HealthcheckPath is the URL path, with a query if one was given, that a
	// health check asks for.
	HealthcheckPath string

	// RegistryUser and RegistryPassword are both set or both empty.
	RegistryUser     string
	RegistryPassword secret.Value
	// DockerConfigs are the Docker configurations that may hold credentials.
	// The first that knows the image's registry counts.
	DockerConfigs []DockerConfig
	// InsecureRegistries are the hosts, with port if given, that may be
	// spoken to by plain HTTP.
	InsecureRegistries []string
	// CACerts are further certificate authorities, as PEM; at least one
	// certificate, or nothing.
	CACerts []byte
	// Platform is the platform to choose from an index; nil for the platform
	// of the running machine.
	Platform *v1.Platform
	// Proxy says which proxies to use.
	Proxy httpproxy.Config

	// Mode says how an image is run.
	Mode Mode
	// Root is the directory that plays the container's root.
	Root string
	// Allow is the set of paths that are taken from an image.
	Allow allowlist.List
	// User is whom the server runs as, and UserGiven whether it was chosen or is
	// the default.
	User      ids.User
	UserGiven bool
	// Init says whether the runner stays as the server's parent.
	Init Switch
	// FakeRoot says whether calls that only root may make succeed without
	// effect.
	FakeRoot Switch
	// Entrypoint replaces the image's Entrypoint unless it is nil.
	Entrypoint []string
	// Cmd replaces the image's Cmd unless it is nil; it may be empty.
	Cmd []string

	// MaxBytes bounds what an image may unpack to.
	MaxBytes int64
	// MaxEntries bounds the entries of all layers together.
	MaxEntries int64

	// AuthToken is what clients of a bridge must send; empty for none.
	AuthToken secret.Value
	// SessionKey signs the ids of sessions; empty for none.
	SessionKey secret.Value
	// SSE says whether HTTP+SSE is served.
	SSE SSE
	// Shared says that all clients share a process of the server.
	Shared bool
	// MaxSessions is how many sessions there may be; 0 leaves it to the memory.
	MaxSessions int
	// IdleTimeout is after how long a session ends whose client is silent.
	IdleTimeout time.Duration
	// Grace is how long the end of a bridge may take.
	Grace time.Duration
	// BridgeGiven names the variables that are set and of which only a bridge
	// takes notice.
	BridgeGiven []string
	// Page says whether there is a page for people.
	Page bool
	// Metrics says whether there are metrics.
	Metrics bool

	// LogLevel is the least level that is logged.
	LogLevel slog.Level
	// LogFormat is the form of the log.
	LogFormat LogFormat

	// ServerEnv is the container's own environment without anything that
	// belongs to the runner, as "NAME=value" strings with unique names.
	ServerEnv []string
	// Passthrough holds the MCP_ENV_ variables without that prefix, as
	// "NAME=value" strings sorted by name.
	Passthrough []string
	// SkippedPassthrough names the MCP_ENV_ variables, prefix included, that
	// are not passed on because the rest of the name is no shell identifier.
	SkippedPassthrough []string

	// Warnings are sentences about values that were overruled, completed or
	// not understood without harm.
	Warnings []string
}

// Parse reads a configuration. Its error joins one fault for every wrong
// value, sorted by variable; no fault shows a secret.
func Parse(src Source) (*Config, error) {
	p := parser{values: lastValues(src.Environ), open: src.Open}
	p.checkText()
	p.checkRequired(src.Required)
	t := p.readTable()
	cfg := p.config(t)
	p.checkServed(src, t)
	if err := p.faults.join(); err != nil {
		return nil, err
	}
	cfg.ServerEnv = serverEnv(src.Environ)
	cfg.Passthrough, cfg.SkippedPassthrough = passthrough(p.values)
	cfg.Warnings = slices.Concat(p.warnings, overruled(p.values), unknown(p.values))
	return cfg, nil
}

// LogSettings returns the level and the format of the log alone, so that even
// the faults that Parse finds are logged as the user wants. A wrong value
// counts as its default here; Parse reports it.
func LogSettings(environ []string) (slog.Level, LogFormat) {
	p := parser{values: lastValues(environ)}
	t := p.readTable()
	return t.LogLevel.level, cmp.Or(t.LogFormat, FormatText)
}

// config makes a Config of the table, whose values are right by themselves,
// by checking those that depend on each other or on files.
func (p *parser) config(t table) *Config {
	cfg := &Config{
		Image:              t.Image.ref,
		Port:               int(t.Port),
		Transport:          t.Transport,
		Host:               string(t.Host),
		Path:               string(t.Path),
		HealthcheckPath:    string(t.HealthcheckPath),
		InsecureRegistries: t.InsecureRegistries,
		CACerts:            p.caCerts(t.CAFile),
		Platform:           t.Platform.platform,
		Proxy: httpproxy.Config{
			HTTPProxy:  string(cmp.Or(t.HTTPProxy, t.LowerHTTPProxy)),
			HTTPSProxy: string(cmp.Or(t.HTTPSProxy, t.LowerHTTPSProxy)),
			NoProxy:    cmp.Or(t.NoProxy, t.LowerNoProxy),
		},
		Mode:       t.Mode,
		Root:       string(t.Root),
		Allow:      p.allow(t.AllowPaths),
		User:       t.User.User,
		UserGiven:  p.set("RUNNER_USER"),
		Init:       t.Init,
		FakeRoot:   t.FakeRoot,
		Entrypoint: t.Entrypoint,
		Cmd:        t.Cmd,
		MaxBytes:   int64(t.MaxBytes),
		MaxEntries: int64(t.MaxEntries),

		SSE:         t.SSE,
		Shared:      bool(t.Shared),
		MaxSessions: int(min(t.MaxSessions, math.MaxInt32)),
		IdleTimeout: time.Duration(t.IdleTimeout),
		Grace:       time.Duration(t.Grace),
		Page:        bool(t.Page),
		Metrics:     bool(t.Metrics),

		LogLevel:  t.LogLevel.level,
		LogFormat: t.LogFormat,
	}
	if t.Image.warning != "" {
		p.warnings = append(p.warnings, "IMAGE="+t.Image.warning)
	}
	cfg.RegistryUser, cfg.RegistryPassword = p.credentials(t)
	cfg.AuthToken = secret.New(p.orFile("RUNNER_AUTH_TOKEN", t.AuthToken, t.AuthTokenFile))
	cfg.SessionKey = secret.New(p.sessionKey(t))
	cfg.BridgeGiven = p.bridgeGiven()
	cfg.DockerConfigs = p.dockerConfigs(t)
	return cfg
}
