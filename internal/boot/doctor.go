package boot

import (
	"context"

	"github.com/drengskapur/fastmcp-runner/internal/config"
	"github.com/drengskapur/fastmcp-runner/internal/host"
)

// Diagnosis says what a host gives, and what follows.
type Diagnosis struct {
	Host host.Facts `json:"host"`
	// Rootfs is how a whole image would run here.
	Rootfs host.Choice `json:"rootfs"`
	// Sessions is how many sessions of a stdio server there may be at once; 0
	// if none is meant.
	Sessions int `json:"sessions,omitempty"`
	// Image says whether an image would start here; nil if none was asked
	// about.
	Image *Inspection `json:"image,omitempty"`
}

// Diagnose looks at the host, and at the configured image if there is one.
func Diagnose(ctx context.Context, cfg *config.Config, opts Options) (Diagnosis, error) {
	facts := host.Probe(ctx, host.Options{Command: opts.Probe, Directories: allowedDirs()})
	d := Diagnosis{Host: facts, Rootfs: facts.Way(placeOf(cfg, opts))}
	if cfg.Image == nil {
		return d, nil
	}
	in, err := Inspect(ctx, cfg, opts)
	if err != nil {
		return d, err
	}
	if in.Starts && cfg.Mode == config.ModeRootfs && d.Rootfs.Way == host.WayNone {
		in.Starts = false
		in.judge(noWay(d.Rootfs.Reason, newSituation(cfg, opts, facts, host.WayNone)))
	}
	d.Image = &in
	return d, nil
}

// allowedDirs are the directories of allowlist mode in which an image usually
// has something.
func allowedDirs() []string {
	return []string{"/app", "/data", "/home", "/opt", "/srv", "/var/lib", "/var/data", "/usr/local/lib"}
}
