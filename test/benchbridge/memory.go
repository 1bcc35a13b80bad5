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
)

func megabytes(kib int) string { return fmt.Sprintf("%.2f MB", float64(kib)*1024/1e6) }

// idleMemory measures a gateway that has nothing to do.
func (l *lab) idleMemory(ctx context.Context, g gateway) (string, error) {
	return l.with(ctx, g, func(in *instance) (string, error) {
		kib, err := l.restingMemory(in)
		return megabytes(kib), err
	}, l.plain)
}

// sessionMemory measures what sessions add that have been used and rest.
func (l *lab) sessionMemory(ctx context.Context, g gateway) (string, error) {
	return l.with(ctx, g, func(in *instance) (string, error) {
		// The first one has costs that the others share.
		if _, err := in.openMany(ctx, 1); err != nil {
			return "", err
		}
		before, err := l.restingMemory(in)
		if err != nil {
			return "", err
		}
		if _, err := in.openMany(ctx, memorySessions); err != nil {
			return "", err
		}
		after, err := l.restingMemory(in)
		return megabytes((after - before) / memorySessions), err
	}, l.plain)
}

func (l *lab) restingMemory(in *instance) (int, error) {
	time.Sleep(settleTime)
	own, _, err := l.split(in)
	if err != nil {
		return 0, err
	}
	return pss(own)
}
