package cli

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/drengskapur/fastmcp-runner/internal/boot"
	"github.com/drengskapur/fastmcp-runner/internal/config"
)

// umask is what the runner's own files are made with, whatever it was started
// with; the server gets the original.
const umask = 0o022

// run prepares the image and becomes its server. It returns only an error.
func run(ctx context.Context, p Process, image string) error {
	cfg, err := p.parse(image, "IMAGE", "PORT")
	if err != nil {
		return err
	}
	given := unix.Umask(umask)
	log := p.logger(cfg.Secrets()...)
	tellStart(log, p, cfg)
	if cfg.Transport == config.Stdio {
		return runStdio(ctx, p, cfg, log, given)
	}
	if len(cfg.BridgeGiven) > 0 {
		log.Warn("Check the configuration", "reason", strings.Join(cfg.BridgeGiven, ", ")+" has no effect: MCP_TRANSPORT is not stdio")
	}
	ready, err := prepare(ctx, p, cfg, log, new(boot.Progress))
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err // a signal that came with the last step
	}
	tellReady(log, cfg, ready)
	return handOver(p, newOrder(ready, given))
}

// prepare runs the boot while its progress is shown.
func prepare(ctx context.Context, p Process, cfg *config.Config, log *slog.Logger, progress *boot.Progress) (boot.Ready, error) {
	opts, err := p.options()
	if err != nil {
		return boot.Ready{}, err
	}
	opts.Log = log
	opts.Progress = progress
	done := showProgress(progress.Snapshot, p.Stderr, log)
	defer done()
	return boot.Prepare(ctx, cfg, opts)
}

func tellStart(log *slog.Logger, p Process, cfg *config.Config) {
	log.Info("FastMCP Runner starting", "version", p.Version, "image", config.Familiar(cfg.Image),
		"port", cfg.Port, "transport", string(cfg.Transport))
	tellWarnings(log, cfg)
}

func tellWarnings(log *slog.Logger, cfg *config.Config) {
	for _, warning := range cfg.Warnings {
		log.Warn("Check the configuration", "reason", warning)
	}
	if len(cfg.SkippedPassthrough) > 0 {
		log.Debug("Skipped variables whose name is no identifier without MCP_ENV_", "names", strings.Join(cfg.SkippedPassthrough, " "))
	}
}

func tellReady(log *slog.Logger, cfg *config.Config, ready boot.Ready) {
	r := ready.Report
	log.Info("Prepared the server", "resolve", round(r.Resolve), "plan", round(r.Plan), "extract", round(r.Extract),
		"locate", round(r.Locate), "read", boot.Size(r.Read), "written", boot.Size(r.Extraction.Bytes))
	log.Info("Starting MCP server", "command", strings.Join(ready.Plan.Argv, " "), "dir", ready.Plan.Dir,
		"user", ready.Plan.User.String(), "port", cfg.Port)
}

func round(d time.Duration) string { return d.Round(time.Millisecond).String() }
