package config

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
)

// Transport is the transport that an MCP server speaks.
type Transport string

// The transports that a server may speak.
const (
	StreamableHTTP Transport = "streamable-http"
	TransportSSE   Transport = "sse"
	// Stdio servers are started once a session, and the runner carries their
	// messages.
	Stdio Transport = "stdio"
)

// UnmarshalText accepts the names of the transports, and "http", which is what
// FastMCP calls Streamable HTTP.
func (t *Transport) UnmarshalText(text []byte) error {
	if string(text) == "http" {
		*t = StreamableHTTP
		return nil
	}
	return oneOf(t, string(text), StreamableHTTP, TransportSSE, Stdio)
}

// Mode is a way to run an image.
type Mode string

// The ways to run an image.
const (
	// ModeAllowlist takes application directories from an image and borrows
	// the rest from the runner's own system.
	ModeAllowlist Mode = "allowlist"
	// ModeRootfs takes the whole image and makes it the server's root.
	ModeRootfs Mode = "rootfs"
)

// UnmarshalText accepts the names of the modes.
func (m *Mode) UnmarshalText(text []byte) error {
	return oneOf(m, string(text), ModeAllowlist, ModeRootfs)
}

// Switch turns something on or off, or leaves that to the runner.
type Switch string

// The positions of a switch.
const (
	Auto Switch = "auto"
	On   Switch = "on"
	Off  Switch = "off"
)

// UnmarshalText accepts the names of the positions.
func (s *Switch) UnmarshalText(text []byte) error { return oneOf(s, string(text), Auto, On, Off) }

// onOff is a switch that nothing is left to decide about.
type onOff bool

// UnmarshalText accepts "on" and "off".
func (o *onOff) UnmarshalText(text []byte) error {
	var s Switch
	err := oneOf(&s, string(text), On, Off)
	*o = s == On
	return err
}

// SSE says whether the HTTP+SSE transport of 2024-11-05 is served.
type SSE string

// The ways to serve HTTP+SSE: beside Streamable HTTP, not, or alone.
const (
	SSEOn   SSE = "on"
	SSEOff  SSE = "off"
	SSEOnly SSE = "only"
)

// UnmarshalText accepts the names of the ways.
func (s *SSE) UnmarshalText(text []byte) error { return oneOf(s, string(text), SSEOn, SSEOff, SSEOnly) }

// LogFormat is the form of the log.
type LogFormat string

// The forms of the log.
const (
	FormatText LogFormat = "text"
	FormatJSON LogFormat = "json"
)

// UnmarshalText accepts the names of the forms.
func (f *LogFormat) UnmarshalText(text []byte) error {
	return oneOf(f, string(text), FormatText, FormatJSON)
}

// logLevel is the name of a level, in lower case.
type logLevel struct{ level slog.Level }

func (l *logLevel) UnmarshalText(text []byte) error {
	var s string
	if err := oneOf(&s, string(text), "debug", "info", "warn", "error"); err != nil {
		return err
	}
	return l.level.UnmarshalText(text)
}

// oneOf sets dst to s if that is one of the choices.
func oneOf[T ~string](dst *T, s string, choices ...T) error {
	if slices.Contains(choices, T(s)) {
		*dst = T(s)
		return nil
	}
	names := make([]string, len(choices))
	for i, choice := range choices {
		names[i] = string(choice)
	}
	return fmt.Errorf("not one of %s", strings.Join(names, ", "))
}
