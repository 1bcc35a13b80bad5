package boot

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/drengskapur/fastmcp-runner/internal/config"
	"github.com/drengskapur/fastmcp-runner/internal/extract"
	"github.com/drengskapur/fastmcp-runner/internal/ids"
	"github.com/drengskapur/fastmcp-runner/internal/image"
	"github.com/drengskapur/fastmcp-runner/internal/launch"
	"github.com/drengskapur/fastmcp-runner/internal/rootfs"
)

// maxAccounts bounds /etc/passwd and /etc/group, which are read whole.
const maxAccounts = 1 << 20

// readAccounts returns the root's account files, empty where there is none.
func readAccounts(root *rootfs.Root) (passwd, group []byte, err error) {
	if passwd, err = readAccountFile(root, "/etc/passwd"); err != nil {
		return nil, nil, err
	}
	group, err = readAccountFile(root, "/etc/group")
	return passwd, group, err
}

func readAccountFile(root *rootfs.Root, name string) ([]byte, error) {
	content, err := root.ReadFile(name, maxAccounts)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return content, err
}

// planWhole plans the launch of a whole image once its files are there: its
// account files say who its user is. It also returns that user, and gives the
// server its directories and a home.
func (s *start) planWhole(img *image.Image) (plan launch.Plan, images ids.User, err error) {
	spec := imageOf(img.Config)
	user, images, homes, err := s.chooseUser(spec.User)
	if err != nil {
		return plan, images, err
	}
	home, err := s.settleHome(homes, user, images)
	if err != nil {
		return plan, images, err
	}
	if spec.WorkingDir == "" {
		app, err := s.layout.root.Resolve(defaultDir)
		if err == nil && !app.Exists {
			spec.WorkingDir = "/"
		}
	}
	if plan, err = newPlan(spec, settings(s.cfg, user, home)); err != nil {
		return plan, images, err
	}
	return plan, images, s.handOver(plan, images)
}

// settle makes of a whole image that was only laid what its server needs: the
// start that finds it may not have the rights for that.
func (s *start) settle(img *image.Image) error {
	plan, _, err := s.planWhole(img)
	if err != nil {
		return err
	}
	_, err = s.makeWorkingDir(plan)
	return err
}

// defaultDir is where a server starts whose image has no WorkingDir; in a whole
// image without it, the root is.
const defaultDir = "/app"

// chooseUser decides whom a whole image runs as, and returns the image's own user
// too, and where the chosen one may be at home.
func (s *start) chooseUser(imageUser string) (user, images ids.User, homes []string, err error) {
	passwd, group, err := readAccounts(s.layout.root)
	if err != nil {
		return user, images, nil, err
	}
	account, err := launch.ResolveAccount(imageUser, passwd, group)
	if err != nil && !s.cfg.UserGiven {
		return user, images, nil, err
	}
	user = wholeUser(account.User, s.cfg, s.opts)
	s.opts.Log.Info("Chose the server's user", "user", user.String(), "image_user", account.User.String())
	own, _ := launch.LookupHome(passwd, user.UID)
	return user, account.User, homesOf(user, own, account), nil
}

// wantsFakeRoot reports whether changes of owners and ids shall succeed without
// effect: by default where the image counts on root and does not get it.
func (s *start) wantsFakeRoot(user, images ids.User) bool {
	if s.cfg.FakeRoot != config.Auto {
		return s.cfg.FakeRoot == config.On
	}
	if images.UID != 0 || user.UID == 0 {
		return false
	}
	s.opts.Log.Info("The image expects root: chown, setuid and the like will succeed without effect",
		"user", user.String(), "off_by", "RUNNER_FAKE_ROOT=off")
	return true
}

// systemDirs stay root's even if an image starts in one of them.
func systemDirs() []string {
	return []string{
		"", "bin", "boot", "dev", "etc", "lib", "lib32", "lib64", "libx32", "proc", "run", "sbin", "sys", "tmp", "usr", "var",
	}
}

// handOver gives the directories where a server keeps its files to its user,
// if that is somebody else than the image counted on.
func (s *start) handOver(plan launch.Plan, images ids.User) error {
	home, _ := plan.Lookup("HOME")
	return s.give(plan.User, images, append([]string{"app", "data"}, s.notSystems(plan.Dir, home)...))
}

// notSystems are those of the directories, relative to the root and free of
// links, that are there, come from the image, and may be the server's.
func (s *start) notSystems(dirs ...string) (others []string) {
	for _, dir := range dirs {
		found, err := s.layout.root.Resolve(dir)
		if err != nil || !found.Info.IsDir() {
			continue // there is nothing to give
		}
		p := strings.Trim(found.Path, "/")
		if s.layout.wanted(p) && !slices.Contains(systemDirs(), p) {
			others = append(others, p)
		}
	}
	return others
}

// give gives directories to the user who stands in for the image's.
func (s *start) give(user, images ids.User, dirs []string) error {
	if user == images || !s.opts.MayChown {
		return nil
	}
	err := extract.HandOver(s.layout.root, dirs, user)
	if err != nil {
		return fmt.Errorf("cannot give the server's directories to user %s: %w", user, err)
	}
	return nil
}
