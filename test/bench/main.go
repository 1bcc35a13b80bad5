// Command bench measures how long pulling takes, how much of the machine it
// needs, and the same of other tools on the same image from the same registry.
// `make bench` runs it; docs/performance.md holds what it printed last.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

func main() {
	b := bench{out: os.Stdout, log: os.Stderr}
	flag.StringVar(&b.serve, "serve", "", "only serve the images, at this `address`, until a signal")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := b.run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1) //nolint:forbidigo // this main ends its own process
	}
}

// bench is what the flags chose.
type bench struct {
	out, log io.Writer
	serve    string
}

func (b bench) run(ctx context.Context) (err error) {
	dir, err := os.MkdirTemp("", "fastmcp-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	at := filepath.Join(dir, "registry")
	if err := os.Mkdir(at, 0o700); err != nil {
		return err
	}
	s, err := startStore(ctx, at, b.serve)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.daemon.stop()) }()
	ls, err := five(ctx)
	if err != nil {
		return err
	}
	for _, v := range []struct {
		name string
		make func() (layers, error)
	}{
		{"five", func() (layers, error) { return ls, nil }},
		{"fat", func() (layers, error) { return fat(ls) }},
		{"zstd", func() (layers, error) { return zstandard(ls) }},
		{"small", func() (layers, error) { return small(ctx) }},
	} {
		ls, err := v.make()
		if err != nil {
			return err
		}
		ref, err := s.push(ctx, "bench/"+v.name+":1", ls)
		if err != nil {
			return err
		}
		fmt.Fprintln(b.out, ref)
		for _, l := range ls {
			fmt.Fprintln(b.log, l.Bytes, l.Raw)
		}
	}
	<-ctx.Done()
	return nil
}
