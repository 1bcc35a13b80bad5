package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

const (
	// crashTries is how often a crash is tried, each time with a new gateway.
	crashTries = 5
	// crashTime is how long a client waits for the error.
	crashTime = 10 * time.Second
)

// crash measures how long a client waits for the error when the server crashes
// during its call.
func (l *lab) crash(ctx context.Context, g gateway) (string, error) {
	var took []time.Duration
	for range crashTries {
		cell, err := l.with(ctx, g, func(in *instance) (string, error) {
			sessions, err := in.openMany(ctx, 1)
			if err != nil {
				return "", err
			}
			ctx, cancel := context.WithTimeout(ctx, crashTime)
			defer cancel()
			began := time.Now()
			answer, err := sessions[0].ask(ctx, call("2", "crash", "{}"))
			took = append(took, time.Since(began))
			switch {
			case errors.Is(err, context.DeadlineExceeded):
				return fmt.Sprintf("none in %s", crashTime), nil
			case err != nil || !isError(answer):
				return fmt.Sprintf("no error of JSON-RPC: %q, %v", answer, err), nil
			}
			return "", nil
		}, l.plain)
		if err != nil || cell != "" {
			return cell, err
		}
	}
	return fmt.Sprintf("%s, at most %s", millis(median(took)), millis(slices.Max(took))), nil
}

// The cycles: ours, and fewer for those that leave much behind.
const (
	ourCycles   = 1000
	otherCycles = 100
)

// cycles counts what is left after sessions whose servers crashed, and whose
// clients went away.
func (l *lab) cycles(ctx context.Context, g gateway) (string, error) {
	n := otherCycles
	if g.name == ours {
		n = ourCycles
	}
	return l.with(ctx, g, func(in *instance) (string, error) {
		if err := in.cycle(ctx); err != nil {
			return "no answer after the first crash", nil //nolint:nilerr // that is the finding
		}
		before, err := in.holds()
		if err != nil {
			return "", err
		}
		for i := range n {
			if err := in.cycle(ctx); err != nil {
				return fmt.Sprintf("no answer after %d crashes: %v", i+1, err), nil
			}
		}
		after, err := in.holds()
		for end := time.Now().Add(settleTime); err == nil && after != before && time.Now().Before(end); {
			after, err = in.holds()
		}
		var left []string
		for i, what := range []string{"processes", "descriptors"} {
			left = append(left, fmt.Sprintf("%d %s", after[i]-before[i], what))
		}
		return fmt.Sprintf("%d: %s", n, strings.Join(left, ", ")), err
	}, l.plain)
}

func (in *instance) cycle(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, crashTime)
	defer cancel()
	sessions, err := in.openMany(ctx, 1)
	if err != nil {
		return err
	}
	_, err = sessions[0].ask(ctx, call("2", "crash", "{}"))
	sessions[0].close()
	return err
}

// holds counts the processes there are because of a gateway, and the
// descriptors that it has open.
func (in *instance) holds() ([2]int, error) {
	pids, err := processesIn(in.dir)
	if err != nil {
		return [2]int{}, err
	}
	descriptors, err := entries(in.cmd.Process.Pid, "fd")
	return [2]int{len(pids), descriptors}, err
}
