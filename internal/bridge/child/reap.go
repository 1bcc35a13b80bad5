package child

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/signal"
	"strconv"
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
		n.sweep()
		select {
		case <-deaths:
		case <-ctx.Done():
			return
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

// sweep reaps the orphans that have ended. A process that has gone between
// two of its steps, or whose state cannot be read, is no orphan to reap.
func (n *Nursery) sweep() {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return // without /proc orphans stay until the container ends
	}
	for _, entry := range entries {
		if pid, err := strconv.Atoi(entry.Name()); err == nil {
			n.reapIfOrphan(pid)
		}
	}
}

func (n *Nursery) reapIfOrphan(pid int) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil || !isOurZombie(stat) {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.children[pid] {
		return
	}
	for {
		if _, err := syscall.Wait4(pid, nil, syscall.WNOHANG, nil); err != syscall.EINTR {
			return
		}
	}
}

// isOurZombie says whether a process has ended, has us for its parent, and is
// not of our process group. Its name, in parentheses, may hold anything.
func isOurZombie(stat []byte) bool {
	var state byte
	var parent, group int
	afterName := stat[bytes.LastIndexByte(stat, ')')+1:]
	if _, err := fmt.Sscanf(string(afterName), " %c %d %d", &state, &parent, &group); err != nil {
		return false
	}
	return state == 'Z' && parent == os.Getpid() && group != syscall.Getpgrp()
}
