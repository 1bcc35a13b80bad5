package main

import (
	"context"
	"fmt"
	"time"
)

const (
	// idleSessions is how many sessions there are when a gateway is to end.
	idleSessions = 20
	// maxTerm and maxStubborn are the goals: the latter is twice the grace
	// that our gateway gives by default.
	maxTerm     = 200 * time.Millisecond
	maxStubborn = 8 * time.Second
)

// term measures how long a gateway needs to end, with all its servers.
func (l *lab) term(ctx context.Context, g gateway) (finding, error) {
	return l.terminate(ctx, g, idleSessions, maxTerm, l.plain)
}

// termStubborn does so with a server that takes notice of nothing.
func (l *lab) termStubborn(ctx context.Context, g gateway) (finding, error) {
	return l.terminate(ctx, g, 1, maxStubborn, l.plain, "stubborn")
}

func (l *lab) terminate(ctx context.Context, g gateway, sessions int, goal time.Duration, server ...string) (finding, error) {
	in, err := l.start(ctx, g, server...)
	if err != nil {
		return finding{}, err
	}
	if _, err := in.openMany(ctx, sessions); err != nil {
		return finding{}, err
	}
	took, left, err := in.stop()
	if err != nil {
		return finding{}, err
	}
	if left > 0 {
		return finding{text: fmt.Sprintf("%d processes left after %s", left, stopTime)}, nil
	}
	code := in.cmd.ProcessState.ExitCode()
	return finding{
		fmt.Sprintf("%.0f ms, exit code %d", float64(took)/float64(time.Millisecond), code),
		took <= goal && code == 0,
	}, nil
}
