package boot

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/drengskapur/fastmcp-runner/internal/config"
	"github.com/drengskapur/fastmcp-runner/internal/host"
	"github.com/drengskapur/fastmcp-runner/internal/ids"
	"github.com/drengskapur/fastmcp-runner/internal/image"
	"github.com/drengskapur/fastmcp-runner/internal/launch"
	"github.com/drengskapur/fastmcp-runner/internal/program"
	"github.com/drengskapur/fastmcp-runner/internal/rootfs"
)

// locate finds the plan's program on the disk, mends what can be mended, and
// says what the hand-over has to do.
func (s *start) locate(ctx context.Context, img *image.Image, plan launch.Plan) (Ready, error) {
	fakeRoot := s.cfg.FakeRoot == config.On
	if s.layout.all {
		var images ids.User
		var err error
		if plan, images, err = s.planWhole(img); err != nil {
			return Ready{}, err
		}
		if err := s.furnish(); err != nil {
			return Ready{}, err
		}
		fakeRoot = s.wantsFakeRoot(plan.User, images)
	}
	plan, err := s.makeWorkingDir(plan)
	if err != nil {
		return Ready{}, err
	}
	if plan, err = s.mend(plan); err != nil {
		return Ready{}, err
	}
	found, err := program.Find(s.layout.root, plan, takenFrom(ctx, s.cfg, s.opts, s.layout.allows()))
	if err != nil {
		return Ready{}, err
	}
	ready := s.ready(plan, found)
	ready.FakeRoot = fakeRoot
	ready.Init, ready.StopSignal = s.cfg.Init == config.On, s.stop
	s.document(ready.Plan)
	return ready, nil
}

// mend repairs what image and runner disagree about in Python.
func (s *start) mend(plan launch.Plan) (launch.Plan, error) {
	mends := program.FindMends(s.layout.root, plan, s.layout.allows())
	for _, note := range mends.Notes {
		s.opts.Log.Info("Mended the image", "mend", note)
	}
	return mends.Plan, mends.Apply(s.layout.root)
}

// ready says how the program is reached. A root that will be entered keeps the
// plan's paths. RUNNER_ROOT in allowlist mode is not entered: its paths are
// those of the host then, and the command stays as the image spells it only if
// they are the same.
func (s *start) ready(plan launch.Plan, found program.Program) Ready {
	if s.layout.all && s.layout.way != host.WayInPlace {
		return Ready{
			Plan: plan, Path: found.Path, Root: s.layout.root.Join("/"),
			Mount:     s.layout.way != host.WayChroot,
			Namespace: s.layout.way == host.WayNamespace,
		}
	}
	if s.root.Join("/") != "/" {
		plan.Dir = s.root.Join(plan.Dir)
		plan.Argv = append([]string{found.Exec}, plan.Argv[1:]...)
	}
	return Ready{Plan: plan, Path: found.Exec}
}

// makeWorkingDir makes sure that the plan's directory exists, as container
// engines do, and resolves its symbolic links inside the root.
func (s *start) makeWorkingDir(plan launch.Plan) (launch.Plan, error) {
	found, err := s.layout.root.Resolve(plan.Dir)
	if err != nil {
		return plan, fmt.Errorf("cannot use the working directory %q: %w", plan.Dir, err)
	}
	if found.Exists && !found.Info.IsDir() {
		return plan, fmt.Errorf("cannot use the working directory %q: it is not a directory", plan.Dir)
	}
	if !s.layout.wanted(strings.TrimPrefix(found.Path, "/")) {
		s.opts.Log.Warn("Nothing of the image is in the working directory, which is not taken from it",
			"dir", plan.Dir, "hint", "RUNNER_ALLOW_PATHS="+plan.Dir)
	}
	if !found.Exists {
		if err := s.makeDirs(found.Path, plan.User); err != nil {
			return plan, fmt.Errorf("cannot make the working directory %q: %w", plan.Dir, err)
		}
	}
	plan.Dir = found.Path
	return plan, nil
}

// makeDirs makes the directory p, whose path is free of links, with its
// parents. What it makes belongs to the user.
func (s *start) makeDirs(p string, user ids.User) error {
	dir, err := s.layout.root.Dir().Clone()
	if err != nil {
		return err
	}
	for name := range strings.SplitSeq(strings.Trim(path.Clean(p), "/"), "/") {
		next, err := enter(dir, name, func() error { return s.makeDir(dir, name, user) })
		if err = errors.Join(err, dir.Close()); err != nil {
			return err
		}
		dir = next
	}
	return dir.Close()
}

// enter opens the directory name, which missing makes if there is none.
func enter(dir *rootfs.Dir, name string, missing func() error) (*rootfs.Dir, error) {
	sub, err := dir.Open(name)
	if !errors.Is(err, fs.ErrNotExist) {
		return sub, err
	}
	if err := missing(); err != nil {
		return nil, err
	}
	return dir.Open(name)
}

func (s *start) makeDir(dir *rootfs.Dir, name string, user ids.User) error {
	if err := dir.Mkdir(name, 0o755); err != nil {
		return err
	}
	if !s.opts.MayChown {
		return nil
	}
	return dir.Lchown(name, user.UID, user.GID)
}
