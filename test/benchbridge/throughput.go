package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"
)

// load is a way of calling a gateway: on so many connections at once, each
// with one call in flight, in so many sessions.
type load struct {
	name            string
	lines, sessions int
}

func loads() []load {
	return []load{
		{"one call after the other", 1, 1},
		{"16 calls at once in one session", 16, 1},
		{"16 sessions at once", 16, 16},
	}
}

const (
	// warmTime is how long each load runs before anything is measured.
	warmTime = 1500 * time.Millisecond
	// roundTime is how long it is measured in each round.
	roundTime = 800 * time.Millisecond
)

// sample is what one load did in one round.
type sample struct {
	rate     float64 // calls a second
	p50, p99 time.Duration
	// The time of a CPU that each call took in the gateway, in its servers,
	// and in this process.
	gateway, servers, client time.Duration
	// others is the share of the machine that went elsewhere.
	others float64
}

// samples are those of all rounds, by gateway and load.
type samples map[[2]string][]sample

// throughput measures all loads against all gateways, with a server that needs
// little and with one that needs much.
func (l *lab) throughput(ctx context.Context, rounds int) (string, error) {
	// The load is one thread, and the runtime has nothing else to run.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	plain, err := l.compare(ctx, rounds, l.plain)
	if err != nil {
		return "", err
	}
	sdk, err := l.compare(ctx, rounds, l.sdk)
	if err != nil {
		return "", err
	}
	return l.throughputTables(plain, sdk), nil
}

// alone is the name under which samples holds what the server does without any
// gateway.
const alone = "no gateway"

// compare measures with one server. The gateways take turns in each round, so
// that whatever else the machine does meets all of them.
func (l *lab) compare(ctx context.Context, rounds int, server string) (found samples, err error) {
	var stages []*stage
	defer func() {
		for _, st := range stages {
			err = errors.Join(err, st.in.kill())
		}
	}()
	for _, g := range l.gateways {
		st, err := l.newStage(ctx, g, server)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", g.name, err)
		}
		stages = append(stages, st)
		for i, ld := range loads() {
			if _, err := st.measure(l, i, warmTime); err != nil {
				return nil, fmt.Errorf("%s, %s: %w", g.name, ld.name, err)
			}
		}
	}
	found = samples{}
	for round := range rounds {
		l.say("round %d of %d", round+1, rounds)
		for i, ld := range loads() {
			for _, st := range stages {
				s, err := st.measure(l, i, roundTime)
				if err != nil {
					return nil, fmt.Errorf("%s, %s: %w", st.in.name, ld.name, err)
				}
				key := [2]string{st.in.name, ld.name}
				found[key] = append(found[key], s)
			}
			rate, err := direct(ctx, server, ld, roundTime)
			if err != nil {
				return nil, err
			}
			key := [2]string{alone, ld.name}
			found[key] = append(found[key], sample{rate: rate})
			slices.Reverse(stages)
		}
	}
	return found, nil
}

// stage is a gateway, and for each load the sessions that it needs.
type stage struct {
	in       *instance
	sessions [][]string
}

func (l *lab) newStage(ctx context.Context, g gateway, server string) (*stage, error) {
	in, err := l.start(ctx, g, server)
	if err != nil {
		return nil, err
	}
	st := &stage{in: in}
	for _, ld := range loads() {
		var ids []string
		for range ld.sessions {
			s, err := in.open(ctx)
			if err != nil {
				return nil, errors.Join(err, in.kill())
			}
			s.close()
			ids = append(ids, s.id)
		}
		st.sessions = append(st.sessions, ids)
	}
	return st, nil
}

// dial opens the connections of a load. Gateways close those that rest.
func (st *stage) dial(i int) (lines []*line, err error) {
	ids := st.sessions[i]
	for n := range loads()[i].lines {
		l, err := dial(st.in.addr, ids[n%len(ids)], n*idsOfLine)
		if err != nil {
			return nil, errors.Join(err, closeAll(lines))
		}
		lines = append(lines, l)
	}
	return lines, nil
}

// idsOfLine keeps the ids of calls apart that are in flight in one session.
const idsOfLine = 1_000_000

func closeAll(lines []*line) error {
	errs := make([]error, len(lines))
	for i, l := range lines {
		errs[i] = l.close()
	}
	return errors.Join(errs...)
}

// measure runs one load.
func (st *stage) measure(l *lab, i int, duration time.Duration) (s sample, err error) {
	lines, err := st.dial(i)
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, closeAll(lines)) }()
	before, err := st.clocks(l)
	if err != nil {
		return s, err
	}
	took, err := press(lines, duration)
	if err != nil {
		return s, err
	}
	after, err := st.clocks(l)
	if err != nil {
		return s, err
	}
	slices.Sort(took)
	n := len(took)
	each := func(clock int) time.Duration { return (after[clock] - before[clock]) / time.Duration(n) }
	used := func(clocks ...int) (share float64) {
		for _, clock := range clocks {
			share += float64(after[clock]-before[clock]) / float64(after[wall]-before[wall]) / float64(runtime.NumCPU())
		}
		return share
	}
	return sample{
		rate: float64(n) / (after[wall] - before[wall]).Seconds(), p50: took[n/2], p99: took[n*99/100],
		gateway: each(gatewayCPU), servers: each(serversCPU), client: each(clientCPU),
		others: 1 - used(gatewayCPU, serversCPU, clientCPU, idleCPU),
	}, nil
}

// What clocks reads.
const (
	wall = iota
	gatewayCPU
	serversCPU
	clientCPU
	idleCPU
	allClocks
)

func (st *stage) clocks(l *lab) (clocks [allClocks]time.Duration, err error) {
	own, servers, err := l.split(st.in)
	if err != nil {
		return clocks, err
	}
	var errs [4]error
	clocks[gatewayCPU], errs[0] = cpuTime(own)
	clocks[serversCPU], errs[1] = cpuTime(servers)
	clocks[clientCPU], errs[2] = ownCPUTime()
	clocks[idleCPU], errs[3] = idleTime()
	clocks[wall] = time.Duration(time.Now().UnixNano())
	return clocks, errors.Join(errs[:]...)
}
