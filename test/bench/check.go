package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/drengskapur/fastmcp-runner/internal/allowlist"
)

// laid is what was found out about the trees before anything was timed.
type laid struct {
	whole, allow treeFacts
}

// treeFacts are of one tree.
type treeFacts struct {
	paths     int   // that were compared
	content   int64 // bytes of the files in it
	elsewhere int64 // bytes that were handed to write(2) for anything else
}

// check lays the image by crane and tar, for the floor to be written from, and
// by the runner in both modes, and compares.
func (b *bench) check(ctx context.Context) (found laid, err error) {
	d, err := newDisk(ctx, filepath.Join(b.disksDir(), "reference"), diskBytes)
	if err != nil {
		return laid{}, err
	}
	b.closers = append(b.closers, d.remove)
	b.reference = d.dir
	since := time.Now()
	script := `"$1" export "$2" - | tar xpf - -C "$3"`
	if err := run(command(ctx, "bash", "-euo", "pipefail", "-c", script, "bash", b.peers.crane, reference(b.store.address, "five"), d.dir)); err != nil {
		return laid{}, err
	}
	list, err := allowlist.New(nil)
	if err != nil {
		return laid{}, err
	}
	for _, mode := range []struct {
		name  string
		facts *treeFacts
		keep  func(string) bool
	}{
		{"rootfs", &found.whole, notTheHosts},
		{"allowlist", &found.allow, list.Allows},
	} {
		_, err := b.on(ctx, scenario{name: "check", tag: "five"}, b.ours(mode.name), func(l lap, u usage) (err error) {
			*mode.facts, err = b.compare(l, u, mode.keep, since)
			return err
		})
		if err != nil {
			return laid{}, fmt.Errorf("%s: %w", mode.name, err)
		}
		b.say("The tree of mode %s is crane's: %d paths.", mode.name, mode.facts.paths)
	}
	return found, nil
}

// compare holds the tree of a run against the reference.
func (b *bench) compare(l lap, u usage, keep func(string) bool, since time.Time) (treeFacts, error) {
	want, err := readTree(b.reference, keep)
	if err != nil {
		return treeFacts{}, err
	}
	got, err := readTree(l.root(), keep)
	if err != nil {
		return treeFacts{}, err
	}
	d, err := differences(want, got, since)
	if err != nil {
		return treeFacts{}, err
	}
	beside, err := os.ReadDir(l.dir)
	for _, e := range beside {
		if e.Name() != "root" && e.Name() != "lost+found" {
			d = append(d, e.Name()+" lies beside the tree")
		}
	}
	if len(d) > 0 || err != nil {
		const most = 20
		return treeFacts{}, errors.Join(err, fmt.Errorf("the tree is not crane's:\n%s", strings.Join(d[:min(len(d), most)], "\n")))
	}
	facts := treeFacts{paths: len(got)}
	for _, n := range got {
		if n.first == "" {
			facts.content += n.size
		}
	}
	facts.elsewhere = u.Passed - facts.content
	return facts, nil
}

// notTheHosts leaves out what every container gets from its host whatever the
// image has, what ext4 has, and where the runner notes what it laid.
func notTheHosts(p string) bool {
	switch p {
	case "etc/hostname", "etc/hosts", "etc/resolv.conf":
		return false
	}
	first, _, _ := strings.Cut(p, "/")
	return !slices.Contains([]string{"dev", "proc", "sys", "lost+found", ".fastmcp-runner"}, first)
}
