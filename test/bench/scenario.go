package main

import (
	"context"
	"fmt"
	"slices"
)

// scenario is an image, and those that lay it in turn: the first is ours, and
// the others are held against it.
type scenario struct {
	name, title string
	main        bool   // whether it belongs to a quick run
	tag         string // of the image
	host        string // of the registry, if it is not the plain one
	cpus        string // as for taskset --cpu-list; empty for all
	diskBytes   int64  // of the disks, if not as usual
	contestants []contestant
}

// result is what the contestants of a scenario used, by contestant and round.
type result struct {
	scenario
	uses [][]usage
}

// play lets the contestants run in alternation. Who begins changes from round
// to round, so that nobody has always the same predecessor.
func (b *bench) play(ctx context.Context, s scenario) (result, error) {
	r := result{s, make([][]usage, len(s.contestants))}
	for round := range b.rounds {
		for turn := range s.contestants {
			i := (round + turn) % len(s.contestants)
			u, err := b.on(ctx, s, s.contestants[i], nil)
			if err != nil {
				return result{}, fmt.Errorf("%s: %w", s.name, err)
			}
			r.uses[i] = append(r.uses[i], u)
			b.say("%s, round %d of %d: %s: %.2f s, CPU %.2f s; others used %.0f %% of the machine",
				s.name, round+1, b.rounds, s.contestants[i].name, u.Wall.Seconds(), u.CPU.Seconds(), 100*u.Others.share())
		}
	}
	return r, nil
}

// disturbance is what else the machine did while the contestants ran.
func (r result) disturbance() (sum disturbance) {
	for _, uses := range r.uses {
		for _, u := range uses {
			sum.add(u.Others)
		}
	}
	return sum
}

// span is the middle, the least and the most of several measurements.
type span struct {
	median, least, most float64
}

func newSpan(values []float64) span {
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	s := span{median: sorted[middle], least: sorted[0], most: sorted[len(sorted)-1]}
	if len(sorted)%2 == 0 {
		s.median = (sorted[middle-1] + sorted[middle]) / 2
	}
	return s
}

// measures are what is looked at of a usage.
func wallOf(u usage) float64 { return u.Wall.Seconds() }
func cpuOf(u usage) float64  { return u.CPU.Seconds() }
func rssOf(u usage) float64  { return float64(u.RSS) / (1 << 20) }
func diskOf(u usage) float64 { return float64(u.Disk) / 1e6 }

// of returns a measure of a contestant over all rounds.
func (r result) of(contestant int, measure func(usage) float64) span {
	var values []float64
	for _, u := range r.uses[contestant] {
		values = append(values, measure(u))
	}
	return newSpan(values)
}

// ratio returns how many times as much a contestant used as the first one, in
// the same rounds.
func (r result) ratio(contestant int, measure func(usage) float64) span {
	var values []float64
	for round, u := range r.uses[contestant] {
		values = append(values, measure(u)/measure(r.uses[0][round]))
	}
	return newSpan(values)
}
