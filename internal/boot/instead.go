package boot

import (
	"context"
	"strings"

	"github.com/drengskapur/fastmcp-runner/internal/config"
	"github.com/drengskapur/fastmcp-runner/internal/host"
	"github.com/drengskapur/fastmcp-runner/internal/program"
	"github.com/drengskapur/fastmcp-runner/internal/rootfs"
)

// The lines that choose the runner's image, for hints.
const (
	usualLine  = "FROM ghcr.io/drengskapur/fastmcp-runner:latest"
	rootfsLine = "FROM ghcr.io/drengskapur/fastmcp-runner:rootfs"
)

// situation is what decides in which other way an image would run. Every hint
// that proposes one comes from here, so that none proposes what the next start
// would refuse.
type situation struct {
	whole     bool     // whole images are taken as things are
	way       host.Way // in which one can run as things are
	alone     bool     // the runner is in its rootfs image
	otherRoot bool     // RUNNER_ROOT is set
	readOnly  bool     // the container's root is
	python    bool     // this container has a Python
}

// instead is the setting or the line by which the image would run in the other
// way.
func (s situation) instead() string {
	if s.whole {
		return s.onOurPython()
	}
	return s.asWhole()
}

// asWhole is what a whole image runs by.
func (s situation) asWhole() string {
	by := "RUNNER_MODE=rootfs"
	if s.way != host.WayNone {
		return by
	}
	if !s.alone {
		by = inDockerfile(rootfsLine)
	}
	var with []string
	if s.otherRoot {
		with = append(with, "RUNNER_ROOT unset")
	}
	if s.readOnly {
		with = append(with, "a writable root")
	}
	if len(with) == 0 {
		return by
	}
	return by + " with " + strings.Join(with, " and ")
}

// onOurPython is what an image runs by that counts on a Python of the runner's.
func (s situation) onOurPython() string {
	if s.python {
		return "RUNNER_MODE=allowlist"
	}
	return inDockerfile(usualLine) + " with RUNNER_MODE unset"
}

func inDockerfile(line string) string {
	return "the line " + line + " in this container's Dockerfile (for docker run, by that image)"
}

// newSituation puts together what is known of a host.
func newSituation(cfg *config.Config, opts Options, facts host.Facts, way host.Way) situation {
	return situation{
		whole:     cfg.Mode == config.ModeRootfs,
		way:       way,
		alone:     opts.Alone,
		otherRoot: cfg.Root != "/",
		readOnly:  facts.Root.FileSystem != nil && facts.Root.FileSystem.ReadOnly,
		python:    hasPython(),
	}
}

// hasPython reports whether this container has a Python of its own.
func hasPython() bool {
	own, err := rootfs.Open("/")
	if err != nil {
		return false
	}
	defer own.Close()
	return program.HasPython(own)
}

// takenFrom is what of an image is taken, as package program asks for it. What
// the host allows is found out only when a hint is due.
func takenFrom(ctx context.Context, cfg *config.Config, opts Options, allows func(p string) bool) program.Taken {
	return program.Taken{
		Allows:   allows,
		Anywhere: opts.Self.UID == 0 || opts.MayChown,
		Instead: func() string {
			facts, choice := chooseWay(ctx, cfg, opts)
			return newSituation(cfg, opts, facts, choice.Way).instead()
		},
	}
}
