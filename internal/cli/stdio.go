package cli

import (
	"context"
	"log/slog"
	"os"
	"strconv"

	"github.com/drengskapur/fastmcp-runner/internal/boot"
	"github.com/drengskapur/fastmcp-runner/internal/bridge/child"
	"github.com/drengskapur/fastmcp-runner/internal/config"
	"github.com/drengskapur/fastmcp-runner/internal/front"
	"github.com/drengskapur/fastmcp-runner/internal/launch"
	"github.com/drengskapur/fastmcp-runner/internal/page"
)

// runStdio prepares the image of a stdio server and becomes the bridge to it. It
// listens from the beginning: platforms want to see a port, and clients can
// wait. It returns only an error.
func runStdio(ctx context.Context, p Process, cfg *config.Config, log *slog.Logger, umask int) error {
	svc := newService(ctx, p, cfg)
	listener, err := listen(ctx, cfg, log)
	if err != nil {
		return err
	}
	progress := new(boot.Progress)
	lobby := front.OpenLobby(listener, front.LobbyOptions{
		Site: svc.Site, State: func() page.State { return stateOf(svc.Site.Image, progress.Snapshot()) }, Log: log,
	})
	ready, err := prepare(ctx, p, cfg, log, progress)
	if err == nil {
		err = ctx.Err() // a signal that came with the last step
	}
	if err != nil {
		if closing := lobby.Close(); closing != nil {
			log.Debug("Cannot close the lobby", "reason", closing)
		}
		return err
	}
	tellReady(log, cfg, ready)
	svc.Command = child.Command{
		Path: ready.Path, Argv: ready.Plan.Argv, Env: ready.Plan.Env, Dir: ready.Plan.Dir, StopSignal: ready.StopSignal,
	}
	svc.Pulled, svc.PullTook = ready.Report.Read, ready.Report.Extract
	passage, err := lobby.HandOver()
	if err != nil {
		return err
	}
	return becomeBridge(p, svc, passage, newOrder(ready, umask))
}

// stateOf says how far a start has come. One that finds the image laid has
// nothing to read.
func stateOf(image string, s boot.Snapshot) page.State {
	state := page.State{Status: page.Starting, Phase: page.Resolving, Image: image, Read: s.Read, Total: s.Total}
	switch {
	case s.Total > 0 && s.Done == s.Layers:
		state.Phase = page.Launching
	case s.Total > 0:
		state.Phase = page.Pulling
	}
	return state
}

// becomeBridge has the bridge take the place that another server has itself: the
// bridge is what the order executes, as the server's user, in the server's root
// and directory, with nothing in its environment. Then its children need no
// rights of ours to become what the plan says: they are born so. What it is to
// serve it finds in a file in memory. It returns only an error.
func becomeBridge(p Process, svc *service, passage front.Passage, o order) error {
	for _, guest := range passage.Guests {
		svc.Guests = append(svc.Guests, guest.Read)
	}
	memory, err := keep("service", svc)
	if err != nil {
		return err
	}
	files := []*os.File{memory, passage.Listener}
	for _, guest := range passage.Guests {
		files = append(files, guest.File)
	}
	args := []string{programName, serveName}
	for i, f := range files {
		fd := int(f.Fd())
		if o.Namespace {
			fd = orderFD + 1 + i // where a child has them
		}
		o.Options.Keep = append(o.Options.Keep, fd)
		args = append(args, strconv.Itoa(fd))
	}
	o.Plan = launch.Plan{Argv: args, Env: p.logEnviron(), Dir: o.Plan.Dir, User: o.Plan.User}
	// This program may lie outside of the root, and where the user cannot go.
	o.Options.Path, o.Options.Outside = executable(), true
	// The bridge does itself what a parent stays for, and the signal is not for
	// the bridge. But only a parent can make a namespace.
	o.Init, o.StopSignal, o.Listens = o.Namespace, 0, false
	return handOver(p, o, files...)
}
