package boot

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/drengskapur/fastmcp-runner/internal/launch"
	"github.com/drengskapur/fastmcp-runner/internal/rootfs"
)

// The launcher lies where the original runner put it. It is a document: what
// runs is the plan itself, so that an image needs no shell.
const (
	launcherDir  = "tmp"
	launcherName = "launcher.sh"
	launcherTemp = ".launcher.sh.new"
	launcherMode = 0o500
)

// document writes the launcher, and logs it at debug with the values that were
// passed to the server alone redacted. A root without a writable /tmp is no
// reason not to start.
func (s *start) document(plan launch.Plan) {
	for line := range strings.Lines(plan.RedactedScript()) {
		s.opts.Log.Debug("Launcher", "line", strings.TrimSuffix(line, "\n"))
	}
	if err := s.writeLauncher(plan); err != nil {
		s.opts.Log.Warn("Cannot write the launcher, which only documents what runs", "reason", err)
	}
}

// writeLauncher puts the script in place by a rename, so that a file or link
// that somebody left under its name in /tmp is replaced and not written to.
func (s *start) writeLauncher(plan launch.Plan) error {
	tmp, err := s.layout.root.OpenDir(launcherDir)
	if errors.Is(err, fs.ErrNotExist) {
		if err := s.layout.root.Dir().Mkdir(launcherDir, 0o777); err != nil {
			return err
		}
		tmp, err = s.layout.root.OpenDir(launcherDir)
	}
	if err != nil {
		return err
	}
	defer tmp.Close()
	if err := tmp.RemoveAll(launcherTemp); err != nil {
		return err
	}
	f, err := tmp.Create(launcherTemp, launcherMode)
	if err != nil {
		return err
	}
	if err := errors.Join(s.fillLauncher(f, plan), f.Close()); err != nil {
		return errors.Join(err, tmp.Unlink(launcherTemp))
	}
	if err := tmp.Rename(launcherTemp, launcherName); err != nil {
		return errors.Join(err, tmp.Unlink(launcherTemp))
	}
	return nil
}

func (s *start) fillLauncher(f *rootfs.File, plan launch.Plan) error {
	if s.opts.MayChown {
		if err := f.Chown(plan.User.UID, plan.User.GID); err != nil {
			return fmt.Errorf("cannot give the launcher to the server's user: %w", err)
		}
	}
	_, err := f.Write([]byte(plan.Script()))
	return err
}
