// Command demo shows the runner at work on this machine alone: it packs the
// greeter of this repository as an OCI image, pushes it to a registry that
// lives in this process, starts the runner on it and talks MCP to the server
// that the runner has become. `make demo` runs it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	var d demo
	d.out = os.Stdout
	flag.StringVar(&d.runner, "runner", "bin/fastmcp-runner", "the runner's `program`, as make build makes it")
	flag.BoolVar(&d.once, "once", false, "end after the conversation instead of serving until Ctrl-C")
	flag.Parse()
	if err := run(d); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1) //nolint:forbidigo // this main ends its own process
	}
}

// run tells the story until it ends or a signal ends it.
func run(d demo) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return d.tell(ctx)
}

// demo is what the flags chose.
type demo struct {
	out    io.Writer // takes writes of several goroutines at once
	runner string
	once   bool
}

// tell is the whole story; whatever it starts or makes, it stops and removes.
func (d demo) tell(ctx context.Context) (err error) {
	if _, err := os.Stat(d.runner); err != nil {
		return fmt.Errorf("cannot find the runner: %w; run `make build` first, or name it with -runner", err)
	}
	dir, err := os.MkdirTemp("", "fastmcp-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	ref, stopRegistry, err := d.publish(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stopRegistry()) }()

	srv, err := d.start(ctx, ref, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, srv.stop()) }()
	if err := d.converse(ctx, srv); err != nil {
		return err
	}
	return d.linger(ctx, srv)
}

// linger keeps the server up until the person at the terminal, or the server
// itself, ends it.
func (d demo) linger(ctx context.Context, srv *server) error {
	d.say("")
	d.say("Try it on an image of your own that holds a static program, as root or not:")
	d.say("    mkdir -p /tmp/try && IMAGE=ghcr.io/you/your-server:1 PORT=8000 RUNNER_ROOT=/tmp/try %s", d.runner)
	d.say("or, with Python and whatever else the runner's own image holds (make image builds it):")
	d.say("    docker run --rm -p 8000:8000 -e IMAGE=ghcr.io/you/your-server:1 -e PORT=8000 fastmcp-runner")
	d.say("A private image also needs REGISTRY_USER and REGISTRY_PASSWORD.")
	d.say("")
	if d.once {
		return nil
	}
	d.say("Serving at %s until Ctrl-C.", srv.endpoint())
	select {
	case <-ctx.Done():
		return nil
	case <-srv.ended:
		return fmt.Errorf("the server ended by itself: %w", srv.ending())
	}
}

// say prints one line of the story. That nobody reads it is no reason to stop.
func (d demo) say(format string, args ...any) {
	_, _ = fmt.Fprintf(d.out, format+"\n", args...)
}
