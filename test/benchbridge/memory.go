package main

import (
	"context"
	"fmt"
	"time"
)

const (
	// memorySessions is how many sessions there are when their memory is
	// measured.
	memorySessions = 20
	// settleTime is how long a gateway gets to come to rest.
	settleTime = time.Second
	// maxIdleMemory and maxSessionMemory are the goals, in bytes.
	maxIdleMemory    = 12_000_000
	maxSessionMemory = 200_000
)

// memory is an amount of memory in KiB.
type memory int

func (m memory) bytes() int { return int(m) << 10 }

func (m memory) String() string { return fmt.Sprintf("%.2f MB", float64(m.bytes())/1e6) }

// idleMemory measures a gateway that has nothing to do.
func (l *lab) idleMemory(ctx context.Context, g gateway) (finding, error) {
	m, err := with(ctx, l, g, l.restingMemory, l.plain)
	return finding{m.String(), m.bytes() <= maxIdleMemory}, err
}

// sessionMemory measures what sessions add that have been used and rest.
func (l *lab) sessionMemory(ctx context.Context, g gateway) (finding, error) {
	m, err := with(ctx, l, g, func(in *instance) (memory, error) {
		// The first one has costs that the others share.
		if _, err := in.openMany(ctx, 1); err != nil {
			return 0, err
		}
		before, err := l.restingMemory(in)
		if err != nil {
			return 0, err
		}
		if _, err := in.openMany(ctx, memorySessions); err != nil {
			return 0, err
		}
		after, err := l.restingMemory(in)
		return (after - before) / memorySessions, err
	}, l.plain)
	return finding{m.String(), m.bytes() <= maxSessionMemory}, err
}

func (l *lab) restingMemory(in *instance) (memory, error) {
	time.Sleep(settleTime)
	own, _, err := l.split(in)
	if err != nil {
		return 0, err
	}
	return pss(own)
}
