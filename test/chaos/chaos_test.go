// Package chaos_test pulls one image a thousand times through networks that do
// all that networks and registries do wrong. The result is the image, or an
// error that says which part of it could not be had: never another tree, never
// an endless wait, and nothing is left behind.
//
// What goes wrong follows from a seed. To see one again:
//
//	go test ./test/chaos -seed 17 -v
package chaos_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"golang.org/x/sys/unix"

	"github.com/drengskapur/fastmcp-runner/internal/extract"
	"github.com/drengskapur/fastmcp-runner/internal/image"
	"github.com/drengskapur/fastmcp-runner/internal/registry"
	"github.com/drengskapur/fastmcp-runner/internal/rootfs"
)

var seedFlag = flag.Uint64("seed", 0, "pull with this seed only")

const (
	schedules = 1000
	// racing is how many of them are enough for the race detector, under which
	// each takes four times as long.
	racing = 150
	// atOnce is how many pulls go on together: they mostly wait.
	atOnce = 64
	// stalled is when a silent connection counts as broken. A machine that has
	// other things to do may be silent for longer: see again.
	stalled = time.Second
	// endless is when a pull counts as one that would never end. No schedule has
	// faults for half as long.
	endless = 60 * time.Second
)

// outcome is what became of one pull.
type outcome struct {
	err    error
	struck int  // Faults that came about.
	late   bool // It should have gone well, but for time-outs.
}

func TestChaos(t *testing.T) {
	l := newLab(t)
	if *seedFlag > 0 {
		s := newSchedule(*seedFlag)
		t.Log(s)
		got := l.try(t, s)
		if got.late {
			t.Error("what could be mended was not")
		}
		t.Logf("%d faults came about, error: %v", got.struck, got.err)
		return
	}
	l.warmUp(t)
	before := l.inventory(t)
	outcomes := l.tryAll(t)
	l.compare(t, before)
	judge(t, outcomes)
}

// warmUp pulls without any fault.
func (l *lab) warmUp(t *testing.T) {
	t.Helper()
	for _, s := range []*schedule{{}, {tls: true}} {
		if got := l.try(t, s); got.err != nil || got.struck != 0 {
			t.Fatalf("without faults: %v, %d faults", got.err, got.struck)
		}
	}
}

func (l *lab) tryAll(t *testing.T) []outcome {
	t.Helper()
	outcomes := make([]outcome, schedules)
	if underRaceDetector() {
		outcomes = outcomes[:racing]
	}
	slots := make(chan struct{}, atOnce)
	var all sync.WaitGroup
	for i := range outcomes {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			outcomes[i] = l.try(t, newSchedule(uint64(i+1)))
		})
	}
	all.Wait()
	l.again(t, outcomes)
	return outcomes
}

// again tries what could have been mended and ended in time-outs once more, with
// nothing beside it: the machine may have been too busy to answer in time.
func (l *lab) again(t *testing.T, outcomes []outcome) {
	t.Helper()
	for i, o := range outcomes {
		if o.late {
			s := newSchedule(uint64(i + 1))
			t.Logf("once more: %v\n%s", o.err, s)
			if outcomes[i] = l.try(t, s); outcomes[i].late {
				t.Errorf("what could be mended was not: %v\n%s", o.err, s)
			}
		}
	}
}

func underRaceDetector() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// judge looks at all outcomes together: a third of the pulls must have gone well
// although something went wrong, or nothing mends anything any more.
func judge(t *testing.T, outcomes []outcome) {
	t.Helper()
	var well, mended, failed, struck int
	for _, o := range outcomes {
		struck += o.struck
		switch {
		case o.err != nil:
			failed++
		case o.struck > 0:
			mended++
		default:
			well++
		}
	}
	t.Logf("%d faults; %d pulls went well without any, %d in spite of some, %d failed", struck, well, mended, failed)
	if mended < len(outcomes)/3 || failed < len(outcomes)/50 {
		t.Errorf("%d of %d pulls went well in spite of faults, and %d failed: the schedules or the client are not what they were", mended, len(outcomes), failed)
	}
}

// try pulls once, and says what is wrong with the result, if anything is.
func (l *lab) try(t *testing.T, s *schedule) outcome {
	t.Helper()
	top, err := os.MkdirTemp(scratch(), "chaos") //nolint:usetesting // in memory, where there is some
	if err != nil {
		t.Error(err)
		return outcome{}
	}
	defer func() { _ = os.RemoveAll(top) }()
	p, err := newProxy(l, s)
	if err != nil {
		t.Error(err)
		return outcome{}
	}
	err = l.pull(p.address, top)
	if err := p.close(); err != nil {
		t.Error(err)
	}
	for _, problem := range append(p.wrong, l.problems(s, top, err)...) {
		t.Errorf("%s\n%s", problem, s)
	}
	return outcome{err: err, struck: p.struckSoFar(), late: s.healable && isLate(err)}
}

// scratch is where the roots lie: in memory if that is possible, because it takes
// some file systems long to make files where many were removed.
func scratch() string {
	const memory = "/dev/shm"
	if unix.Access(memory, unix.W_OK) == nil {
		return memory
	}
	return os.TempDir()
}

// pull pulls from an address into a directory.
func (l *lab) pull(address, top string) error {
	ctx, cancel := context.WithTimeoutCause(context.Background(), endless, errEndless)
	defer cancel()
	client, err := registry.New(registry.Options{
		RootCAs:      l.ca,
		StallTimeout: stalled,
		RetryDelay:   2 * time.Millisecond,
		Ranges:       registry.Ranges{Starving: 20 * time.Millisecond, LeastBytes: 64 << 10, PartBytes: 32 << 10, MemoryBytes: 512 << 10},
	})
	if err != nil {
		return err
	}
	defer client.Close()
	ref, err := name.ParseReference(address + "/" + repository)
	if err != nil {
		return err
	}
	img, err := client.Resolve(ctx, ref, platform)
	if err != nil {
		return err
	}
	root, err := rootfs.Open(top)
	if err != nil {
		return err
	}
	layers := make([]extract.Layer, len(img.Layers))
	for i, layer := range img.Layers {
		layers[i] = extract.Layer{
			Digest: layer.Descriptor().Digest.String(),
			Open:   func(ctx context.Context) (io.ReadCloser, error) { return image.Open(ctx, layer) },
		}
	}
	_, err = extract.Extract(ctx, root, layers, extract.Options{
		Wanted: func(string) bool { return true }, MaxBytes: 1 << 30, MaxEntries: 1000,
	})
	return errors.Join(err, root.Close())
}

// isLate reports whether an error is that of a time-out.
func isLate(err error) bool {
	return err != nil && (strings.Contains(err.Error(), "no data for") || strings.Contains(err.Error(), "client connection lost"))
}

var errEndless = errors.New("it would never have ended")

// problems says what is wrong with the result of a pull.
func (l *lab) problems(s *schedule, top string, err error) (list []string) {
	switch {
	case errors.Is(err, errEndless):
		return []string{"the pull did not end"}
	case err != nil:
		if s.healable && !isLate(err) {
			list = append(list, fmt.Sprintf("what could be mended was not: %v", err))
		}
		if reason := unclear(err); reason != "" {
			list = append(list, fmt.Sprintf("the error %q %s", err, reason))
		}
		return list
	}
	got, err := readTree(top)
	if err != nil {
		return []string{err.Error()}
	}
	if diff := cmp.Diff(l.want, got); diff != "" {
		return []string{"success with a wrong tree (-want +got):\n" + diff}
	}
	return nil
}

// unclear says what an error lacks that should say which part of the image could
// not be had.
func unclear(err error) string {
	text := err.Error()
	if resolve, ok := errors.AsType[*registry.Error](err); ok && resolve.Op == "resolve" {
		if !strings.Contains(text, repository) {
			return "does not name the image"
		}
		return ""
	}
	// A flipped bit in a manifest may have made it another layer's name.
	if !layerName.MatchString(text) {
		return "names no layer"
	}
	return ""
}

var layerName = regexp.MustCompile(`layer \d of \d \(sha256:[0-9a-f]{64}\)`)

// inventory is what a process can leave behind.
type inventory struct{ goroutines, descriptors, files int }

// inventory counts what there is but for the connections that the proxy keeps
// to the registry, which it closes.
func (l *lab) inventory(t *testing.T) inventory {
	t.Helper()
	l.transport.CloseIdleConnections()
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(scratch(), "chaos*"))
	if err != nil {
		t.Fatal(err)
	}
	return inventory{goroutines: runtime.NumGoroutine(), descriptors: len(open), files: len(files)}
}

// compare waits until no more is there than was before.
func (l *lab) compare(t *testing.T, before inventory) {
	t.Helper()
	var now inventory
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		now = l.inventory(t)
		if now.goroutines <= before.goroutines && now.descriptors <= before.descriptors && now.files <= before.files {
			return
		}
	}
	stacks := make([]byte, 1<<20)
	t.Errorf("there were %+v, and are %+v:\n%s", before, now, stacks[:runtime.Stack(stacks, true)])
}
