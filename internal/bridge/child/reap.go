package child

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// sweepPause is the least time between two sweeps for orphans.
const sweepPause = 100 * time.Millisecond

// Reap reaps what the children of the Nursery leave behind, until the context
// ends. The init process of a container must do so, because it becomes the
// parent of every process whose own parent has ended, and nobody else can
// remove such a process when it ends in turn.
//
// Children that others have started in the process group of this process are
// left to those.
func (n *Nursery) Reap(ctx context.Context) {
	deaths := make(chan os.Signal, 1)
	signal.Notify(deaths, syscall.SIGCHLD)
	defer signal.Stop(deaths)
	for {
		if hidden := n.sweep(); !hidden {
			select {
			case <-deaths:
			case <-ctx.Done():
				return
			}
		}
		// Many end at once when a group is killed: one sweep is for all.
		pause := time.NewTimer(sweepPause)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return
		}
	}
}

// sweep reaps the orphans that have ended. It asks the kernel for any child
// that has, which needs no /proc but names one only: a child that somebody else
// is about to reap hides those behind it for that long.
func (n *Nursery) sweep() (hidden bool) {
	for {
		pid := anyEnded()
		if pid == 0 {
			return false
		}
		if !n.reapOrphan(pid) {
			return true
		}
	}
}

// reapOrphan reaps a child that has ended, unless it is another's to reap.
func (n *Nursery) reapOrphan(pid int) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if group, err := syscall.Getpgid(pid); n.children[pid] || err != nil || group == syscall.Getpgrp() {
		return false
	}
	for {
		if _, err := syscall.Wait4(pid, nil, syscall.WNOHANG, nil); err != syscall.EINTR {
			return true
		}
	}
}
