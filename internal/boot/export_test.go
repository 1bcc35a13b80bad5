package boot

import (
	"context"
	"log/slog"

	"golang.org/x/sys/unix"

	"github.com/drengskapur/fastmcp-runner/internal/config"
	"github.com/drengskapur/fastmcp-runner/internal/host"
	"github.com/drengskapur/fastmcp-runner/internal/ids"
	"github.com/drengskapur/fastmcp-runner/internal/image"
	"github.com/drengskapur/fastmcp-runner/internal/launch"
	"github.com/drengskapur/fastmcp-runner/internal/receipt"
	"github.com/drengskapur/fastmcp-runner/internal/rootfs"
)

// WholeImage is the selection of a whole image among mount points.
func WholeImage(mounted []string) func(p string) bool { return wholeImage(mounted) }

// Start is a start whose layout has been chosen.
type Start struct{ s *start }

// NewStart returns a start that lays what wanted takes below root, by a way.
func NewStart(root *rootfs.Root, way host.Way, wanted func(p string) bool, cfg config.Config, opts Options) Start {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	s := &start{cfg: &cfg, opts: opts, root: root, layout: layout{root: root, wanted: wanted, way: way}}
	s.decideInit()
	return Start{s: s}
}

// MakeRoom calls makeRoom.
func (s Start) MakeRoom(key receipt.Key) (found bool, err error) { return s.s.makeRoom(key) }

// WholeUser calls wholeUser.
func WholeUser(images ids.User, cfg *config.Config, opts Options) ids.User {
	return wholeUser(images, cfg, opts)
}

// WantsFakeRoot calls wantsFakeRoot.
func (s Start) WantsFakeRoot(user, images ids.User) bool { return s.s.wantsFakeRoot(user, images) }

// HandOver calls handOver.
func (s Start) HandOver(plan launch.Plan, images ids.User) error {
	return s.s.handOver(plan, images)
}

// Furnish calls furnish.
func (s Start) Furnish() error { return s.s.furnish() }

// MakeWorkingDir calls makeWorkingDir.
func (s Start) MakeWorkingDir(plan launch.Plan) (launch.Plan, error) {
	return s.s.makeWorkingDir(plan)
}

// StopSignal returns what a parent that stays makes of SIGTERM, and whether one
// stays.
func (s Start) StopSignal(name string) (signal unix.Signal, stays bool, err error) {
	signal, err = s.s.stopSignal(name)
	return signal, s.s.cfg.Init == config.On, err
}

// HiddenVolumes are the mount points that a server does not see.
func HiddenVolumes(mounts []host.Mount, way host.Way, root string) []string {
	return hiddenVolumes(mounts, way, root)
}

// HostFiles are the network files, relative to the root.
func HostFiles() []string { return hostFiles() }

// TakeAll makes the layout one of a whole image.
func (s Start) TakeAll() { s.s.layout.all = true }

// CheckRoom calls checkRoom.
func (s Start) CheckRoom(img *image.Image) error { return s.s.checkRoom(img) }

// Room is a room.
type Room struct{ room }

// NewRoom calls newRoom.
func NewRoom(dir string, memory host.Memory) Room { return Room{newRoom(dir, memory)} }

// Check calls check.
func (r Room) Check() error { return r.check() }

// Watch calls watch.
func (r Room) Watch(ctx context.Context) (context.Context, func()) { return r.watch(ctx) }

// SettleHome settles the home of a user who runs the server, for an image's
// account.
func (s Start) SettleHome(user ids.User, own string, images launch.Account) (string, error) {
	return s.s.settleHome(homesOf(user, own, images), user, images.User)
}

// Situation is a situation in which a hint is due.
type Situation struct {
	Facts     host.Facts
	Mode      config.Mode
	Alone     bool
	OtherRoot bool
	Python    bool
}

// Way returns how a whole image would run, and Instead what the hint proposes.
func (s Situation) Way() host.Way { return s.Facts.Way(s.place()).Way }

func (s Situation) place() host.Place {
	return placeOf(s.config(), Options{Alone: s.Alone})
}

func (s Situation) config() *config.Config {
	root := "/"
	if s.OtherRoot {
		root = "/elsewhere"
	}
	return &config.Config{Mode: s.Mode, Root: root}
}

// Instead returns how the image would run in the other way.
func (s Situation) Instead() string { return s.situation().instead() }

// Refusal returns why a whole image cannot run, and the hint.
func (s Situation) Refusal() error {
	return noWay(s.Facts.Way(s.place()).Reason, s.situation())
}

func (s Situation) situation() situation {
	in := newSituation(s.config(), Options{Alone: s.Alone}, s.Facts, s.Way())
	in.python = s.Python
	return in
}
