// Command benchbridge compares the bridge with other gateways that serve a
// stdio MCP server over HTTP: how many calls they carry, how long each takes,
// what they cost, and what happens when something goes wrong. `make
// bench-bridge` runs it; docs/performance.md holds what it printed last.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	var o options
	flag.StringVar(&o.runner, "runner", "bin/fastmcp-runner", "the program of this project, at `path`")
	flag.StringVar(&o.cache, "cache", ".cache/bench-bridge", "the `directory` that keeps the other gateways")
	flag.StringVar(&o.docs, "docs", "", "the document whose section is rewritten, at `path`")
	flag.IntVar(&o.rounds, "rounds", 5, "how many `times` the throughput is measured")
	flag.DurationVar(&o.soak, "soak", 0, "only load our own gateway, in all ways at once for so `long`, and see what is left")
	flag.Parse()
	o.parts = flag.Args()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, o, os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "benchbridge:", err)
		os.Exit(1) //nolint:forbidigo // this main ends its own process
	}
}

type options struct {
	runner, cache, docs string
	rounds              int
	soak                time.Duration
	parts               []string // empty stands for all
}

func run(ctx context.Context, o options, out, log io.Writer) (err error) {
	l, err := newLab(ctx, o.runner, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	if o.soak > 0 {
		return l.soak(ctx, o.soak, out)
	}
	modules, err := install(ctx, o.cache, log)
	if err != nil {
		return err
	}
	l.gateways = append(l.gateways, otherGateways(modules)...)
	var text strings.Builder
	text.WriteString("\n")
	if err := describe(ctx, &text); err != nil {
		return err
	}
	for _, part := range []struct {
		name    string
		measure func(context.Context) (string, error)
	}{
		{"throughput", func(ctx context.Context) (string, error) { return l.throughput(ctx, o.rounds) }},
		{"behaviour", l.behaviour},
	} {
		if len(o.parts) > 0 && !slices.Contains(o.parts, part.name) {
			continue
		}
		tables, err := part.measure(ctx)
		if err != nil {
			return fmt.Errorf("cannot measure the %s: %w", part.name, err)
		}
		text.WriteString("\n" + tables)
	}
	if o.docs != "" {
		err = rewrite(o.docs, text.String())
	}
	_, printErr := io.WriteString(out, text.String())
	return errors.Join(err, printErr)
}
