package main

import (
	"context"
	"fmt"
	"time"
)

// idleSessions is how many sessions there are when a gateway is to end.
const idleSessions = 20

// term measures how long a gateway needs to end, with all its servers.
func (l *lab) term(ctx context.Context, g gateway) (string, error) {
	return l.terminate(ctx, g, idleSessions, l.plain)
}

// termStubborn does so with a server that takes notice of nothing.
func (l *lab) termStubborn(ctx context.Context, g gateway) (string, error) {
	return l.terminate(ctx, g, 1, l.plain, "stubborn")
}

func (l *lab) terminate(ctx context.Context, g gateway, sessions int, server ...string) (string, error) {
	in, err := l.start(ctx, g, server...)
	if err != nil {
		return "", err
	}
	if _, err := in.openMany(ctx, sessions); err != nil {
		return "", err
	}
	took, left, err := in.stop()
	if err != nil {
		return "", err
	}
	if left > 0 {
		return fmt.Sprintf("%d processes left after %s", left, stopTime), nil
	}
	return fmt.Sprintf("%.0f ms, exit code %d", float64(took)/float64(time.Millisecond), in.cmd.ProcessState.ExitCode()), nil
}
