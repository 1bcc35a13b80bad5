package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// trial is something that a gateway should do well beside carrying calls.
type trial struct {
	name, must string
	run        func(context.Context, gateway) (finding, error)
}

// finding is what came of a trial.
type finding struct {
	text string
	// good says that it is what must be.
	good bool
}

func (l *lab) trials() []trial {
	return []trial{
		{"memory (PSS), idle", "<= 12 MB", l.idleMemory},
		{"memory (PSS), each session", "<= 0.2 MB", l.sessionMemory},
		{"crash during a call, error at the client", "< 200 ms", l.crash},
		{"cycles of connect, crash, disconnect: left are", "1,000: nothing", l.cycles},
		{"TERM with 20 idle sessions", "< 200 ms, exit code 0, nothing left", l.term},
		{"TERM with a server that ignores it", "<= twice the grace (4 s), exit code 0, nothing left", l.termStubborn},
		{"two SSE clients, 20 calls each: foreign answers", "0", l.foreign},
		{"byte for byte, and the session lives", "all", l.faithful},
	}
}

// behaviour puts all gateways to all trials, and shows that as one table.
func (l *lab) behaviour(ctx context.Context) (string, error) {
	t := newTable(append([]string{"", "must reach"}, l.names()...)...)
	for _, trial := range l.trials() {
		cells := []string{trial.name, trial.must}
		for _, g := range l.gateways {
			l.say("%s: %s", trial.name, g.name)
			f, err := trial.run(ctx, g)
			if err != nil {
				return "", fmt.Errorf("%s, %s: %w", g.name, trial.name, err)
			}
			cells = append(cells, f.text)
		}
		t.row(cells...)
	}
	return t.String(), nil
}

// openMany opens sessions, each of which has answered a call.
func (in *instance) openMany(ctx context.Context, n int) ([]*session, error) {
	var sessions []*session
	for range n {
		s, err := in.open(ctx)
		if err != nil {
			return nil, err
		}
		got, err := s.ask(ctx, call("1", "echo", `{"message":"hello"}`))
		if err != nil {
			return nil, err
		}
		if !strings.Contains(string(got), "Echo: hello") {
			return nil, fmt.Errorf("the answer is %q", got)
		}
		sessions = append(sessions, s)
	}
	return sessions, nil
}

// with runs a gateway for something that is done with it.
func with[T any](ctx context.Context, l *lab, g gateway, use func(*instance) (T, error), server ...string) (result T, err error) {
	in, err := l.start(ctx, g, server...)
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, in.kill()) }()
	return use(in)
}

// isError says whether an answer is an error of JSON-RPC.
func isError(answer []byte) bool { return strings.Contains(string(answer), `"error"`) }
