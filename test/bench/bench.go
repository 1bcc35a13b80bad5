package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// bench is what the flags chose, and what all scenarios share.
type bench struct {
	out, log io.Writer
	runner   string
	rounds   int
	quick    bool
	growth   bool
	only     []string // names of scenarios; empty for all
	page     string
	serve    string

	dir       string // for everything that does not outlive the run
	disks     int    // so many were made
	store     *store
	far       string // the address of a registry that is far away
	farWhole  string // one that gives no parts of blobs
	peers     peers
	images    images
	reference string // where crane's tree of the image lies
	closers   []func() error
}

// run measures and reports.
func (b *bench) run(ctx context.Context) (err error) {
	if os.Geteuid() != 0 {
		return errors.New("this needs root: every run gets a file system of its own")
	}
	if b.runner, err = filepath.Abs(b.runner); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	if err := b.open(ctx); err != nil {
		return err
	}
	switch {
	case b.serve != "":
		<-ctx.Done()
		return nil
	case b.growth:
		return b.report(ctx, "bench-growth", b.writeGrowth)
	}
	return b.report(ctx, "bench", b.writePull)
}

// open starts the registry and fills it.
func (b *bench) open(ctx context.Context) (err error) {
	if b.dir, err = os.MkdirTemp("", "fastmcp-bench-"); err != nil {
		return err
	}
	b.closers = append(b.closers, func() error { return os.RemoveAll(b.dir) })
	if err := b.openDisks(ctx); err != nil {
		return err
	}
	registry := filepath.Join(b.dir, "registry")
	if err := os.Mkdir(registry, 0o700); err != nil {
		return err
	}
	if b.store, err = startStore(ctx, registry, b.serve); err != nil {
		return err
	}
	b.closers = append(b.closers, b.store.daemon.Stop)
	if err := b.openFar(&b.far, true); err != nil {
		return err
	}
	if err := b.openFar(&b.farWhole, false); err != nil {
		return err
	}
	if b.growth {
		return nil
	}
	b.say("Making the images; the first time, their packages are downloaded.")
	if b.images, err = makeImages(ctx); err != nil {
		return err
	}
	for _, tagged := range b.images.all() {
		if err := b.store.push(ctx, tagged.tag, tagged.layers); err != nil {
			return err
		}
		b.say("%s", reference(b.store.address, tagged.tag))
	}
	return nil
}

// openDisks makes room in memory for the disks of the runs, so that the speed
// of this machine's own has no part in what is measured.
func (b *bench) openDisks(ctx context.Context) error {
	if err := os.Mkdir(b.disksDir(), 0o700); err != nil {
		return err
	}
	if err := run(command(ctx, "mount", "-t", "tmpfs", "tmpfs", b.disksDir())); err != nil {
		return err
	}
	b.closers = append(b.closers, func() error { return unmount(b.disksDir()) })
	return nil
}

func (b *bench) disksDir() string { return filepath.Join(b.dir, "disks") }

// openFar starts a registry of 60 MB/s per response, with 20 ms to the first
// byte.
func (b *bench) openFar(address *string, ranges bool) (err error) {
	var stop func() error
	far := limits{bytesPerSecond: 60e6, firstByte: 20 * time.Millisecond, ranges: ranges}
	if *address, stop, err = far.proxy(b.store.address); err == nil {
		b.closers = append(b.closers, stop)
	}
	return err
}

// close undoes what was done, last things first.
func (b *bench) close() error {
	var errs []error
	for _, undo := range slices.Backward(b.closers) {
		errs = append(errs, undo())
	}
	return errors.Join(errs...)
}

// say tells whoever waits how far it is.
func (b *bench) say(format string, args ...any) {
	_, _ = fmt.Fprintf(b.log, format+"\n", args...) // Nothing depends on it.
}

// report prints what write writes, or puts it into the page.
func (b *bench) report(ctx context.Context, section string, write func(context.Context, io.Writer) error) error {
	var figures bytes.Buffer
	if err := write(ctx, &figures); err != nil {
		return err
	}
	if b.page != "" {
		return replaceSection(b.page, section, figures.String())
	}
	_, err := figures.WriteTo(b.out)
	return err
}
