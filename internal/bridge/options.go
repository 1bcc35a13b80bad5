package bridge

import (
	"log/slog"
	"time"

	"github.com/drengskapur/fastmcp-runner/internal/bridge/child"
	"github.com/drengskapur/fastmcp-runner/internal/origins"
)

// SSEMode says whether the HTTP+SSE transport of 2024-11-05 is served.
type SSEMode int

// The modes of HTTP+SSE.
const (
	// SSEOff serves Streamable HTTP only.
	SSEOff SSEMode = iota
	// SSEOn serves both.
	SSEOn
	// SSEOnly serves HTTP+SSE only.
	SSEOnly
)

// Options say what to serve, to whom, and within which limits.
type Options struct {
	// Path is the URL path of the MCP endpoint, unescaped; empty means /mcp.
	Path string
	// Command is the stdio server.
	Command child.Command
	// SSE says whether to serve HTTP+SSE, at /sse and /messages.
	SSE SSEMode

	// Token is the bearer token that every request must carry; empty asks
	// for none.
	Token string
	// Origins say under which names clients may come, and from which pages.
	Origins origins.Allowed
	// SessionKey signs the ids of sessions, so that they survive a restart;
	// empty lets them end with the bridge.
	SessionKey []byte

	// Shared gives all sessions one server together, which knows of them only
	// as one client, and modern clients with the same capabilities another one
	// if the server is an older one: for servers that are too large to run more than once,
	// and that keep nothing of their clients. A client that is slow to read
	// then holds up the others.
	Shared bool
	// Sessions is how many sessions there may be at once; zero means 32.
	Sessions int
	// Idle is after how long a session ends whose client sends nothing and
	// waits for nothing, whatever streams it has open; zero means 30 minutes.
	Idle time.Duration
	// Start is how long a server may take to answer initialize; zero means
	// 50 s, since many clients wait for a minute.
	Start time.Duration
	// Grace is how long a server may take to end; zero means 4 s.
	Grace time.Duration
	// KeepAlive is after how long a silent stream gets a comment; zero means
	// 15 s.
	KeepAlive time.Duration
	// MaxBody bounds the body of a request; zero means 16 MiB.
	MaxBody int64
	// MaxLine bounds a message of the server; zero means 64 MiB.
	MaxLine int
	// KeepBytes bounds what each session keeps for clients that resume a
	// stream; zero means 4 MiB.
	KeepBytes int

	// Reap says that this process is the init process, and has to reap what
	// the servers leave behind.
	Reap bool
	// Mask hides secrets in what the server says; nil hides nothing.
	Mask func(string) string
	// Log gets what happens, and what the server writes to standard error;
	// nil discards it.
	Log *slog.Logger
}

// withDefaults returns the options with their zero values replaced.
func (o Options) withDefaults() Options {
	orDefault(&o.Path, "/mcp")
	orDefault(&o.Sessions, 32)
	orDefault(&o.Idle, 30*time.Minute)
	orDefault(&o.Start, 50*time.Second)
	orDefault(&o.Grace, 4*time.Second)
	orDefault(&o.KeepAlive, 15*time.Second)
	orDefault(&o.MaxBody, 16<<20)
	orDefault(&o.KeepBytes, 4<<20)
	if o.Mask == nil {
		o.Mask = func(text string) string { return text }
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

func orDefault[T comparable](value *T, def T) {
	var zero T
	if *value == zero {
		*value = def
	}
}
