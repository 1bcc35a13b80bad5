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
	"strings"
	"time"

	"github.com/drengskapur/fastmcp-runner/internal/config"
	"github.com/drengskapur/fastmcp-runner/internal/extract"
	"github.com/drengskapur/fastmcp-runner/internal/launch"
	"github.com/drengskapur/fastmcp-runner/internal/layer"
	"github.com/drengskapur/fastmcp-runner/internal/program"
	"github.com/drengskapur/fastmcp-runner/internal/registry"
	"github.com/drengskapur/fastmcp-runner/internal/rootfs"
)

// Options are what the configuration does not say.
type Options struct {
	// UID and GID are whom the runner itself runs as. Only uid 0 can become
	// another user.
	UID, GID uint32
	// UserAgent introduces the runner to registries.
	UserAgent string
	// Log gets the story.
	Log *slog.Logger
	// Progress counts while layers are read; it may be nil.
	Progress *Progress
}

// Ready is a start that waits for nothing but the hand-over.
type Ready struct {
	// Plan is what runs. Its directory and program are those of the host,
	// below RUNNER_ROOT.
	Plan launch.Plan
	// Path is the file to execute.
	Path string
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
	root, err := rootfs.Open(cfg.Root)
	if err != nil {
		return Ready{}, fmt.Errorf("cannot open RUNNER_ROOT: %w", err)
	}
	defer root.Close()
	s := start{cfg: cfg, opts: opts, root: root, progress: opts.Progress}
	if s.progress == nil {
		s.progress = new(Progress)
	}
	return s.prepare(ctx)
}

// start is one start under way.
type start struct {
	cfg      *config.Config
	opts     Options
	root     *rootfs.Root
	progress *Progress
	report   Report
}

func (s *start) prepare(ctx context.Context) (Ready, error) {
	img, err := timed(&s.report.Resolve, func() (*registry.Image, error) { return s.resolve(ctx) })
	if err != nil {
		return Ready{}, err
	}
	plan, err := timed(&s.report.Plan, func() (launch.Plan, error) { return s.plan(img) })
	if err != nil {
		return Ready{}, err
	}
	s.report.Extraction, err = timed(&s.report.Extract, func() (extract.Report, error) { return s.extract(ctx, img) })
	s.report.Read = s.progress.Snapshot().Read
	if err != nil {
		return Ready{}, err
	}
	ready, err := timed(&s.report.Locate, func() (Ready, error) { return s.locate(plan) })
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
func (s *start) resolve(ctx context.Context) (*registry.Image, error) {
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
func (s *start) plan(img *registry.Image) (launch.Plan, error) {
	plan, err := planLaunch(&img.Config.Config, s.cfg, s.opts, s.root)
	if err != nil {
		return launch.Plan{}, err
	}
	for _, warning := range plan.Warnings {
		s.opts.Log.Warn("Check the image", "reason", warning)
	}
	return plan, program.Early(s.root, plan, s.allows)
}

// extract lays the allowed paths of the image down, unless an earlier start in
// this root did so already.
func (s *start) extract(ctx context.Context, img *registry.Image) (extract.Report, error) {
	key := s.receiptKey(img)
	found, err := s.makeRoom(key)
	if err != nil || found {
		return extract.Report{}, err
	}
	paper := s.beginReceipt(key)
	s.progress.begin(img)
	user := s.user()
	report, err := extract.Extract(ctx, s.root, s.layers(img), extract.Options{
		Wanted:     s.cfg.Allow.Allows,
		Keep:       isUserData,
		Owned:      []string{"app", "data"},
		Owner:      extract.Owner{UID: user.UID, GID: user.GID},
		MayChown:   s.opts.UID == 0,
		Laid:       paper.Laid,
		MaxBytes:   s.cfg.MaxBytes,
		MaxEntries: s.cfg.MaxEntries,
	})
	if err == nil {
		err = paper.Finish()
	}
	if err := errors.Join(err, paper.Close()); err != nil {
		return report, explainLimit(err)
	}
	s.logExtraction(report)
	return report, nil
}

// isUserData reports whether p lies where files outlive the image.
func isUserData(p string) bool {
	return p == "data" || strings.HasPrefix(p, "data/")
}

// layers are the image's layers for the extractor, counted as they are read.
func (s *start) layers(img *registry.Image) []extract.Layer {
	layers := make([]extract.Layer, 0, len(img.Layers))
	for _, l := range img.Layers {
		layers = append(layers, extract.Layer{
			Digest: l.Digest.String(),
			Open: func(ctx context.Context) (io.ReadCloser, error) {
				blob, err := l.Open(ctx)
				if err != nil {
					return nil, err
				}
				return s.progress.count(blob, l.Size), nil
			},
		})
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
		log.Warn("Cannot set all owners and modes as this user", "uid", s.opts.UID, "entries", r.Owners)
	}
	if r.Xattrs > 0 {
		log.Warn("Cannot set all extended attributes on this file system", "attributes", r.Xattrs)
	}
	if r.Devices+r.Unknown > 0 {
		log.Warn("Skipped entries that are no files", "devices", r.Devices, "unknown", r.Unknown)
	}
}

// limitError adds the variable that sets the limit that was passed.
type limitError struct {
	err  error
	hint string
}

func (e *limitError) Error() string { return e.err.Error() }
func (e *limitError) Unwrap() error { return e.err }
func (e *limitError) Hint() string  { return e.hint }

func explainLimit(err error) error {
	switch {
	case errors.Is(err, layer.ErrTooManyBytes):
		return &limitError{err: err, hint: "if the image is meant to be so large, raise RUNNER_MAX_BYTES"}
	case errors.Is(err, layer.ErrTooManyEntries):
		return &limitError{err: err, hint: "if the image is meant to have so many files, raise RUNNER_MAX_ENTRIES"}
	}
	return err
}
