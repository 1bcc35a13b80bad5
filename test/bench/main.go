// Command bench measures how long pulling an image takes and how much of the
// machine it needs, for the runner and for other tools, on the same images from
// the same registry. `make bench` runs it; docs/performance.md explains its
// tables and holds the last run.
//
// It needs root, for file systems of its own, and leaves nothing behind but
// downloads in the user's cache directory.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := dispatch(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1) //nolint:forbidigo // this main ends its own process
	}
}

// dispatch is the benchmark, or one of the processes that it starts to measure
// something in.
func dispatch(ctx context.Context, args []string) error {
	if len(args) > 0 {
		switch args[0] {
		case measureArg:
			return measuring(args[1:])
		case floorArg:
			return measureFloor(ctx, os.Stdin, os.Stdout)
		case decodeArg:
			return measureDecoder(os.Stdin, os.Stdout)
		}
	}
	b := bench{out: os.Stdout, log: os.Stderr}
	flag.StringVar(&b.runner, "runner", "bin/fastmcp-runner", "the runner's `program`, as make build makes it")
	flag.IntVar(&b.rounds, "rounds", 7, "how often each tool runs")
	flag.BoolVar(&b.quick, "quick", false, "only the main scenarios")
	flag.StringVar(&b.page, "docs", "", "replace the figures of this `page` instead of printing them")
	flag.StringVar(&b.serve, "serve", "", "only serve the images, at this `address`, until a signal")
	flag.BoolVar(&b.growth, "growth", false, "measure how the cost grows with layers, files and bytes")
	only := flag.String("only", "", "only the scenarios of this comma-separated `list`")
	flag.Parse()
	if *only != "" {
		b.only = strings.Split(*only, ",")
	}
	return b.run(ctx)
}
