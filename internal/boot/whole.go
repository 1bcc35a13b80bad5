package boot

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/drengskapur/fastmcp-runner/internal/config"
	"github.com/drengskapur/fastmcp-runner/internal/extract"
	"github.com/drengskapur/fastmcp-runner/internal/hint"
	"github.com/drengskapur/fastmcp-runner/internal/host"
	"github.com/drengskapur/fastmcp-runner/internal/receipt"
	"github.com/drengskapur/fastmcp-runner/internal/rootfs"
)

// privateRoot is where a whole image is laid when the runner shares its root
// with a system and RUNNER_ROOT names no other directory.
const privateRoot = "/" + receipt.Dir + "/rootfs"

// hostLinks are the links that a root which is made for whole images has in
// the place of directories that most images have as links too.
func hostLinks() []string {
	return []string{"bin", "sbin", "lib", "lib32", "lib64", "libx32", "var/run"}
}

// kernelDirs are provided by the kernel or the engine, whatever an image has
// there.
func kernelDirs() []string { return []string{"dev", "proc", "sys"} }

// hostFiles are the files by which the host tells a container of its network.
func hostFiles() []string { return []string{"etc/hostname", "etc/hosts", "etc/resolv.conf"} }

// noWay says that this host can run no whole image.
func noWay(reason string, in situation) error {
	return hint.Add(errors.New("cannot run a whole image on this host: "+reason), "take the whole image by "+in.asWhole())
}

// need says whether a whole image that is laid down must also be able to run
// on this host.
type need bool

const (
	someWay need = true
	anyWay  need = false
)

// chooseWay finds out how a whole image can run on this host. It tries what the
// host allows only where that matters, because it takes a start of a process.
func chooseWay(ctx context.Context, cfg *config.Config, opts Options) (host.Facts, host.Choice) {
	place := placeOf(cfg, opts)
	facts := host.Probe(ctx, host.Options{})
	choice := facts.Way(place)
	if choice.Way == host.WayNone {
		facts.Try(ctx, opts.Probe)
		choice = facts.Way(place)
	}
	return facts, choice
}

// placeOf says with whom the image would share its root.
func placeOf(cfg *config.Config, opts Options) host.Place {
	if opts.Alone && cfg.Root == "/" {
		return host.Alone
	}
	return host.Shared
}

// wholeLayout takes everything of an image but what belongs to the host. It
// chooses the way in which the image can run here, before anything is fetched.
func (s *start) wholeLayout(ctx context.Context, need need) (layout, error) {
	facts, choice := chooseWay(ctx, s.cfg, s.opts)
	if choice.Way == host.WayNone && need == someWay {
		return layout{}, noWay(choice.Reason, newSituation(s.cfg, s.opts, facts, choice.Way))
	}
	s.opts.Log.Info("Chose how to run the whole image", "way", choice.Way.String(), "reason", choice.Reason)
	if hidden := hiddenVolumes(facts.Mounts, choice.Way, s.privateRoot()); len(hidden) > 0 {
		s.opts.Log.Warn("The server does not see what is mounted outside of its root", "mounted", strings.Join(hidden, " "))
	}
	l := layout{all: true, way: choice.Way, gvisor: facts.Kernel.GVisor == host.Yes, rules: string(config.ModeRootfs)}
	if choice.Way == host.WayInPlace {
		l.root, l.links, l.mounted = s.root, hostLinks(), mountPoints(facts)
		l.wanted = wholeImage(l.mounted)
		return l, nil
	}
	l.wanted = wholeImage(nil)
	var err error
	l.root, err = s.openPrivateRoot()
	return l, err
}

// hiddenVolumes are the operator's mount points that a server does not see when
// it enters root. Where there are mounts, /data is shown.
func hiddenVolumes(mounts []host.Mount, way host.Way, root string) []string {
	if way == host.WayInPlace || way == host.WayNone {
		return nil
	}
	shown := slices.Concat(kernelDirs(), hostFiles())
	if way != host.WayChroot {
		shown = append(shown, "data")
	}
	return slices.DeleteFunc(host.MountPoints(mounts, "/"), func(point string) bool {
		return within(point, root) || within(root, point) ||
			slices.ContainsFunc(shown, func(dir string) bool { return within(point, "/"+dir) })
	})
}

// mountPoints are the paths, relative to the root, at which something is
// mounted.
func mountPoints(facts host.Facts) []string {
	points := host.MountPoints(facts.Mounts, "/")
	for i, p := range points {
		points[i] = strings.TrimPrefix(p, "/")
	}
	return points
}

// wholeImage returns the selection that takes everything but what the host
// provides: the kernel's directories, its own files, the runner's directory,
// and mount points with all below them.
func wholeImage(mounted []string) func(p string) bool {
	protected := slices.Concat(kernelDirs(), hostFiles(), mounted, []string{receipt.Dir})
	return func(p string) bool {
		for _, dir := range protected {
			if within(p, dir) {
				return false
			}
		}
		return true
	}
}

// privateRoot names the directory that becomes the server's root.
func (s *start) privateRoot() string {
	if s.cfg.Root == "/" {
		return privateRoot
	}
	return s.cfg.Root
}

// openPrivateRoot opens the directory that becomes the server's root.
func (s *start) openPrivateRoot() (*rootfs.Root, error) {
	name := s.privateRoot()
	if name == privateRoot {
		if err := s.makePrivateRoot(); err != nil {
			return nil, explainPrivateRoot(err)
		}
	}
	root, err := rootfs.Open(name)
	if err != nil {
		return nil, explainPrivateRoot(err)
	}
	return root, nil
}

// makePrivateRoot makes the private root below the runner's own directory. The
// server's user must be able to enter it.
func (s *start) makePrivateRoot() error {
	dir, err := s.root.Dir().Clone()
	if err != nil {
		return err
	}
	for name := range strings.SplitSeq(strings.Trim(privateRoot, "/"), "/") {
		next, err := enter(dir, name, func() error { return dir.Mkdir(name, 0o755) })
		if err = errors.Join(err, dir.Close()); err != nil {
			return err
		}
		dir = next
	}
	return dir.Close()
}

// explainPrivateRoot says where there could be one.
func explainPrivateRoot(err error) error {
	return hint.Add(fmt.Errorf("cannot make a directory for the whole image: %w", err),
		"set RUNNER_ROOT to an empty directory that user "+strconv.Itoa(unix.Geteuid())+" can write")
}

// explainRefusal says what helps where there is no shell to make directories
// with.
func (l layout) explainRefusal(err error) error {
	refused, ok := errors.AsType[*extract.WriteError](err)
	if ok && l.way == host.WayInPlace && errors.Is(refused.Err, fs.ErrPermission) {
		return hint.Add(err, inPlaceHint(l.gvisor))
	}
	return err
}

// inPlaceHint is for a user who cannot lay the image onto the root itself.
func inPlaceHint(gvisor bool) string {
	with := "without no-new-privileges and with the engine's usual capabilities"
	if gvisor { // where the capabilities of a file count for nothing
		with = "as root"
	}
	return "start the container " + with +
		`, or lay the image when the container's own is built: RUN ["/.fastmcp-runner/fastmcp-runner", "pull", "IMAGE"] in its Dockerfile`
}
