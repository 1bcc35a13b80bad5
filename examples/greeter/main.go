// Command greeter is a small MCP server, the one that the demonstration packs
// into an image. It shows what a server has to do to run well behind the
// runner: listen where HOST, PORT and MCP_PATH say, speak the transport that
// MCP_TRANSPORT names, answer /health, and stop soon after SIGTERM.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "greeter:", err)
		os.Exit(1) //nolint:forbidigo // this main ends its own process
	}
}

// run serves until SIGTERM, or the Ctrl-C of a terminal, asks it to stop.
func run() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	s := settingsFrom(os.Getenv) //nolint:forbidigo // a server gets its settings from its environment, read once here
	return serve(ctx, s)
}

// settings say where and how to serve.
type settings struct {
	transport  string
	host, port string
	path       string
}

// settingsFrom reads the variables that the runner gives to every server, with
// defaults for a start by hand.
func settingsFrom(getenv func(string) string) settings {
	or := func(name, otherwise string) string {
		if v := getenv(name); v != "" {
			return v
		}
		return otherwise
	}
	return settings{
		transport: or("MCP_TRANSPORT", "streamable-http"),
		host:      or("HOST", "127.0.0.1"),
		port:      or("PORT", "8000"),
		path:      or("MCP_PATH", "/mcp"),
	}
}
