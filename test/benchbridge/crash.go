package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

const (
	// crashTries is how often a crash is tried, each time with a new gateway.
	crashTries = 5
	// crashTime is how long a client waits for the error.
	crashTime = 10 * time.Second
)

// maxCrash is the goal.
const maxCrash = 200 * time.Millisecond

// crash measures how long a client waits for the error when the server crashes
// during its call.
func (l *lab) crash(ctx context.Context, g gateway) (finding, error) {
	var took []time.Duration
	for range crashTries {
		bad, err := with(ctx, l, g, func(in *instance) (string, error) {
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
		if err != nil || bad != "" {
			return finding{text: bad}, err
		}
	}
	return finding{
		fmt.Sprintf("%s, at most %s", millis(median(took)), millis(slices.Max(took))),
		slices.Max(took) < maxCrash,
	}, nil
}

// The cycles: ours, and fewer for those that leave much behind.
const (
	ourCycles   = 1000
	otherCycles = 100
)

// cycles counts what is left after sessions whose servers crashed, and whose
// clients went away.
func (l *lab) cycles(ctx context.Context, g gateway) (finding, error) {
	n := otherCycles
	if g.name == ours {
		n = ourCycles
	}
	return with(ctx, l, g, func(in *instance) (finding, error) {
		if err := in.cycle(ctx); err != nil {
			return finding{text: "no answer to the first crash"}, nil //nolint:nilerr // that is the finding
		}
		before, err := in.holds()
		if err != nil {
			return finding{}, err
		}
		for i := range n {
			if err := in.cycle(ctx); err != nil {
				return finding{text: fmt.Sprintf("no answer after crash %d: %v", i+1, err)}, nil
			}
		}
		after, err := in.holds()
		for end := time.Now().Add(settleTime); err == nil && after != before && time.Now().Before(end); {
			after, err = in.holds()
		}
		return finding{
			fmt.Sprintf("%d: %d processes, %d descriptors", n, after[0]-before[0], after[1]-before[1]),
			after[0] <= before[0] && after[1] <= before[1],
		}, err
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
