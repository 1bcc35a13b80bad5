package boot

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/drengskapur/fastmcp-runner/internal/config"
	"github.com/drengskapur/fastmcp-runner/internal/launch"
	"github.com/drengskapur/fastmcp-runner/internal/program"
	"github.com/drengskapur/fastmcp-runner/internal/rootfs"
)

// locate finds the plan's program on the disk, mends what can be mended, and
// turns the plan's paths into those of the host.
func (s *start) locate(plan launch.Plan) (Ready, error) {
	plan, err := s.makeWorkingDir(plan)
	if err != nil {
		return Ready{}, err
	}
	mends := program.FindMends(s.root, plan, s.allows)
	for _, note := range mends.Notes {
		s.opts.Log.Info("Mended the image", "mend", note)
	}
	if err := mends.Apply(s.root); err != nil {
		return Ready{}, err
	}
	plan = mends.Plan
	found, err := program.Find(s.root, plan, s.allows)
	if err != nil {
		return Ready{}, err
	}
	ready := Ready{Plan: s.onHost(plan, found.Exec), Path: found.Exec}
	s.document(ready.Plan)
	return ready, nil
}

// allows reports whether the image's file at an absolute path is taken.
func (s *start) allows(p string) bool { return allows(s.cfg, p) }

func allows(cfg *config.Config, p string) bool {
	return cfg.Allow.Allows(strings.TrimPrefix(p, "/"))
}

// onHost returns the plan with the paths that they have outside of the root.
// Below "/" they are the same, and the command stays as the image spells it.
func (s *start) onHost(plan launch.Plan, program string) launch.Plan {
	if s.root.Join("/") == "/" {
		return plan
	}
	plan.Dir = s.root.Join(plan.Dir)
	plan.Argv = append([]string{program}, plan.Argv[1:]...)
	return plan
}

// makeWorkingDir makes sure that the plan's directory exists, as container
// engines do, and resolves its symbolic links inside the root.
func (s *start) makeWorkingDir(plan launch.Plan) (launch.Plan, error) {
	found, err := s.root.Resolve(plan.Dir)
	if err != nil {
		return plan, fmt.Errorf("cannot use the working directory %q: %w", plan.Dir, err)
	}
	if found.Exists && !found.Info.IsDir() {
		return plan, fmt.Errorf("cannot use the working directory %q: it is not a directory", plan.Dir)
	}
	if !s.allows(found.Path) {
		s.opts.Log.Warn("The working directory lies outside the allowlist, so that nothing of the image is in it",
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
func (s *start) makeDirs(p string, user launch.User) error {
	dir, err := s.root.Dir().Clone()
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

func (s *start) makeDir(dir *rootfs.Dir, name string, user launch.User) error {
	if err := dir.Mkdir(name, 0o755); err != nil {
		return err
	}
	if s.opts.UID != 0 {
		return nil
	}
	return dir.Lchown(name, user.UID, user.GID)
}
