// Package boot tells the story of a start: resolve, plan, extract, locate, in
// this order, each step only after the one before succeeded. It returns what is
// needed to hand over, and does not know how the process ends.
package boot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/drengskapur/fastmcp-runner/internal/config"
	"github.com/drengskapur/fastmcp-runner/internal/extract"
	"github.com/drengskapur/fastmcp-runner/internal/hint"
	"github.com/drengskapur/fastmcp-runner/internal/host"
	"github.com/drengskapur/fastmcp-runner/internal/ids"
	"github.com/drengskapur/fastmcp-runner/internal/image"
	"github.com/drengskapur/fastmcp-runner/internal/initd"
	"github.com/drengskapur/fastmcp-runner/internal/launch"
	"github.com/drengskapur/fastmcp-runner/internal/layer"
	"github.com/drengskapur/fastmcp-runner/internal/program"
	"github.com/drengskapur/fastmcp-runner/internal/rootfs"
)

// Options are what the configuration does not say.
type Options struct {
	// Self is whom the runner itself runs as.
	Self ids.User
	// MayChown and MayBecome say whether it may give files away, and become
	// another user.
	MayChown, MayBecome bool
	// Alone says that the runner's root holds nothing but the runner, so that
	// a whole image can be laid onto it.
	Alone bool
	// Probe is a command that does nothing and ends with 0, on which is tried
	// what the host allows.
	Probe []string
	// UserAgent introduces the runner to registries.
	UserAgent string
	// Log gets the story.
	Log *slog.Logger
	// Progress counts while layers are read; it may be nil.
	Progress *Progress
}

// Ready is a start that waits for nothing but the hand-over.
type Ready struct {
	// Plan is what runs, Path the file to execute. Their paths are those
	// inside of Root if one is to be entered, else the host's.
	Plan launch.Plan
	Path string
	// Root is the directory to make the root first; empty for none.
	Root string
	// Mount says that the kernel's file systems are to be mounted in it, and
	// Namespace that this takes a user namespace, and so a parent.
	Mount, Namespace bool
	// FakeRoot says that changes of owners and ids shall succeed without
	// effect.
	FakeRoot bool
	// Init says that the runner shall stay as the server's parent, and
	// translate SIGTERM and SIGINT into StopSignal, if that is not zero.
	Init       bool
	StopSignal unix.Signal
	// Report says what the start took.
	Report Report
}

// Report says what a start took.
type Report struct {
	Resolve, Plan, Extract, Locate time.Duration

	Read       int64 // bytes of compressed layers
	Extraction extract.Report
}

// Prepare does everything up to the hand-over. After an error nothing may be
// executed: the root may hold part of an image.
func Prepare(ctx context.Context, cfg *config.Config, opts Options) (Ready, error) {
	s, err := newStart(cfg, opts)
	if err != nil {
		return Ready{}, err
	}
	defer s.close()
	return s.prepare(ctx)
}

// Pull lays the image down as Prepare does, for a later start to find.
func Pull(ctx context.Context, cfg *config.Config, opts Options) error {
	s, err := newStart(cfg, opts)
	if err != nil {
		return err
	}
	defer s.close()
	img, err := s.resolve(ctx)
	if err != nil {
		return err
	}
	if err := s.chooseLayout(ctx, anyWay); err != nil {
		return err
	}
	if _, err := s.extract(ctx, img); err != nil || !s.layout.all {
		return err
	}
	return s.settle(img)
}

// start is one start under way.
type start struct {
	cfg      *config.Config
	opts     Options
	root     *rootfs.Root // RUNNER_ROOT
	layout   layout
	stop     unix.Signal // the image's StopSignal, if a parent stays
	progress *Progress
	report   Report
}

func newStart(cfg *config.Config, opts Options) (*start, error) {
	root, err := openRoot(cfg)
	if err != nil {
		return nil, err
	}
	tellOverruled(cfg, opts)
	s := &start{cfg: cfg, opts: opts, root: root, progress: opts.Progress}
	if s.progress == nil {
		s.progress = new(Progress)
	}
	return s, nil
}

func openRoot(cfg *config.Config) (*rootfs.Root, error) {
	root, err := rootfs.Open(cfg.Root)
	if err != nil {
		return nil, &ConfigError{Err: fmt.Errorf("cannot open RUNNER_ROOT: %w", err)}
	}
	return root, nil
}

// close closes the roots. Nothing was written through them that a close could
// lose.
func (s *start) close() {
	if s.layout.root != nil && s.layout.root != s.root {
		_ = s.layout.root.Close()
	}
	_ = s.root.Close()
}

func (s *start) prepare(ctx context.Context) (Ready, error) {
	img, err := timed(&s.report.Resolve, func() (*image.Image, error) { return s.resolve(ctx) })
	if err != nil {
		return Ready{}, err
	}
	plan, err := timed(&s.report.Plan, func() (launch.Plan, error) { return s.plan(ctx, img) })
	if err != nil {
		return Ready{}, err
	}
	s.report.Extraction, err = timed(&s.report.Extract, func() (extract.Report, error) { return s.extract(ctx, img) })
	s.report.Read = s.progress.Snapshot().Read
	if err != nil {
		return Ready{}, err
	}
	ready, err := timed(&s.report.Locate, func() (Ready, error) { return s.locate(ctx, img, plan) })
	ready.Report = s.report
	return ready, err
}

// timed calls step and notes how long it took.
func timed[T any](took *time.Duration, step func() (T, error)) (T, error) {
	begin := time.Now()
	defer func() { *took = time.Since(begin) }()
	return step()
}

// resolve finds out what the reference means and fetches the image's config.
func (s *start) resolve(ctx context.Context) (*image.Image, error) {
	img, err := Resolve(ctx, s.cfg, s.opts)
	if err != nil {
		return nil, err
	}
	s.opts.Log.Info("Resolved image", "digest", img.Digest.String(), "platform", img.Platform.String(),
		"layers", len(img.Layers), "size", Size(totalSize(img)))
	return img, nil
}

// plan decides the launch, and refuses what cannot start here before a layer
// is fetched.
func (s *start) plan(ctx context.Context, img *image.Image) (launch.Plan, error) {
	if err := s.chooseLayout(ctx, someWay); err != nil {
		return launch.Plan{}, err
	}
	plan, err := planLaunch(img.Config, s.cfg, s.opts, s.layout.root)
	if err != nil {
		return launch.Plan{}, err
	}
	taken := takenFrom(ctx, s.cfg, s.opts, s.layout.allows())
	for _, warning := range slices.Concat(plan.Warnings, program.Doubts(s.layout.root, plan, taken)) {
		s.opts.Log.Warn("Check the image", "reason", warning)
	}
	if s.stop, err = s.stopSignal(img.Config.StopSignal); err != nil {
		return launch.Plan{}, err
	}
	return plan, program.Early(s.layout.root, plan, taken)
}

// stopSignal is what the server's parent, if one stays, makes of SIGTERM.
func (s *start) stopSignal(name string) (unix.Signal, error) {
	if name == "" || s.cfg.Init != config.On {
		return 0, nil
	}
	signal, err := initd.ParseSignal(name)
	if err != nil {
		return 0, fmt.Errorf("cannot plan the launch: the image's StopSignal: %w", err)
	}
	return signal, nil
}

func (s *start) chooseLayout(ctx context.Context, need need) (err error) {
	if s.cfg.Mode == config.ModeRootfs {
		s.layout, err = s.wholeLayout(ctx, need)
	} else {
		s.layout = s.allowlistLayout()
	}
	s.decideInit()
	return err
}

// decideInit settles RUNNER_INIT: a user namespace ends with its first process,
// and takes a parent outside of it to be made; a stdio server has the bridge for
// its parent.
func (s *start) decideInit() {
	reason := "a server in a user namespace needs a parent"
	if s.cfg.Transport == config.Stdio {
		reason = "somebody has to listen for a stdio server"
	} else if s.layout.way != host.WayNamespace {
		return
	}
	if s.cfg.Init == config.Off {
		s.opts.Log.Warn("Check the configuration", "reason", "RUNNER_INIT=off is overruled: "+reason)
	}
	decided := *s.cfg
	decided.Init = config.On
	s.cfg = &decided
}

// extract lays the image down, unless an earlier start in this root did so
// already.
func (s *start) extract(ctx context.Context, img *image.Image) (extract.Report, error) {
	l := s.layout
	key := l.key(img.Digest.String(), img.Platform.String())
	found, err := s.makeRoom(key)
	if err != nil || found {
		return extract.Report{}, err
	}
	if err := s.checkRoom(img); err != nil {
		return extract.Report{}, err
	}
	paper := s.beginReceipt(key)
	s.progress.begin(img)
	ctx, stop := newRoom(l.root.Join("/"), host.AskMemory(nil)).watch(ctx)
	defer stop()
	report, err := extract.Extract(ctx, l.root, s.layers(img), extract.Options{
		Wanted:     l.wanted,
		Keep:       isUserData,
		Links:      l.links,
		Mounted:    l.mounted,
		Owned:      l.owned,
		Owner:      l.owner,
		MayChown:   s.opts.MayChown,
		Laid:       paper.Laid,
		MaxBytes:   s.cfg.MaxBytes,
		MaxEntries: s.cfg.MaxEntries,
	})
	if err == nil {
		err = paper.Finish()
	}
	if err := errors.Join(err, paper.Close()); err != nil {
		if full := context.Cause(ctx); isRoomError(full) {
			err = full // whatever failed with it
		}
		return report, l.explainRefusal(explainLimit(err))
	}
	s.logExtraction(report)
	return report, nil
}

// layers are the image's layers for the extractor, counted as they are read.
func (s *start) layers(img *image.Image) []extract.Layer {
	layers := make([]extract.Layer, len(img.Layers))
	for i, l := range img.Layers {
		counted := &countedLayer{Layer: l, progress: s.progress}
		layers[i] = extract.Layer{
			Digest: l.Descriptor().Digest.String(),
			Open:   func(ctx context.Context) (io.ReadCloser, error) { return image.Open(ctx, counted) },
		}
	}
	return layers
}

// logExtraction says what an operator should know of an extraction that
// succeeded.
func (s *start) logExtraction(r extract.Report) {
	log := s.opts.Log
	log.Info("Extracted image", "files", r.Files, "size", Size(r.Bytes), "excluded", r.Excluded)
	if r.Kept > 0 {
		log.Warn("Kept the files of /data where the image has others", "entries", r.Kept)
	}
	if r.Owners > 0 {
		log.Warn("Cannot set all owners and modes as this user", "uid", s.opts.Self.UID, "entries", r.Owners)
	}
	if r.Xattrs > 0 {
		log.Warn("Cannot set all extended attributes on this file system", "attributes", r.Xattrs)
	}
	if r.Devices+r.Unknown > 0 {
		log.Warn("Skipped entries that are no files", "devices", r.Devices, "unknown", r.Unknown)
	}
}

// explainLimit names the variable that sets the limit that was passed.
func explainLimit(err error) error {
	switch {
	case errors.Is(err, layer.ErrTooManyBytes):
		return hint.Add(err, "if the image is meant to be so large, raise RUNNER_MAX_BYTES")
	case errors.Is(err, layer.ErrTooManyEntries):
		return hint.Add(err, "if the image is meant to have so many files, raise RUNNER_MAX_ENTRIES")
	}
	return err
}
