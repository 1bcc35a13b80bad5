package chaos_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
)

// kind is what goes wrong.
type kind int

const (
	// With an answer of the registry, or with a connection, when some of its
	// bytes were sent.
	cut   kind = iota // The connection ends.
	reset             // It is reset.
	stall             // Nothing more comes.
	slow              // What follows comes slowly.
	flip              // One bit is another.

	// With an answer.
	tooMany     // 429, with a Retry-After in seconds.
	unavailable // 503, with a Retry-After that is a date.
	broken      // 500.
	ignored     // The whole, whatever range was asked for.
	shifted     // A Content-Range that was not asked for.
	refused     // 416 to a range.
	short       // Fewer bytes than there are, and a Content-Length that says so.
	goAway      // The connection takes no further requests, and this one breaks.
	kinds
)

func (k kind) String() string {
	return [kinds]string{
		"cut", "reset", "stall", "slow", "flip", "429", "503", "500", "range ignored", "range shifted", "416", "short", "go away",
	}[k]
}

// fault is one thing that goes wrong.
type fault struct {
	kind kind
	at   int // After so many bytes; or the seconds of a Retry-After.
}

func (f fault) String() string { return fmt.Sprintf("%s %d", f.kind, f.at) }

// objects are what is asked for, by name.
var objects = []string{"manifest", "config", "layer 1", "layer 2", "layer 3", "layer 4"}

// sizes are about what they are long, so that most faults strike.
var sizes = map[string]int{"manifest": 1200, "config": 700, "layer 1": 51_000, "layer 2": 30_000, "layer 3": 4000, "layer 4": 250_000}

// schedule is what goes wrong in one pull. All of it follows from the seed.
type schedule struct {
	seed uint64
	// tls: the registry speaks HTTP/2 over TLS, not HTTP/1.1.
	tls bool
	// token is for how many requests a token is good, redirect for how many a
	// URL that a layer is redirected to; 0: there are none.
	token, redirect int
	// every is where each answer for a layer ends; 0: at its end.
	every int
	// rate is what each answer for a layer brings, in bytes a second; 0: any.
	rate int
	// answers are what goes wrong with those for an object, in order; connections
	// with the bytes of each that the client opens.
	answers     map[string][]fault
	connections map[int]fault
	// always is what goes wrong with every answer for an object.
	always map[string]fault
	// healable: a client that does all that it can gets the image.
	healable bool
}

func newSchedule(seed uint64) *schedule {
	rnd := rand.New(rand.NewPCG(seed, 1))
	s := &schedule{seed: seed, tls: rnd.IntN(3) == 0, answers: map[string][]fault{}, connections: map[int]fault{}, always: map[string]fault{}}
	if rnd.IntN(3) == 0 {
		s.token = 8 + rnd.IntN(12) // More than there are requests at once.
	}
	if rnd.IntN(3) == 0 {
		s.redirect = 1 + rnd.IntN(12)
	}
	if rnd.IntN(6) == 0 {
		s.every = 8_000 + rnd.IntN(60_000)
	}
	if rnd.IntN(3) == 0 {
		s.rate = 400_000 + rnd.IntN(2_000_000)
	}
	s.healable = rnd.IntN(2) == 0
	if s.healable {
		s.addHealable(rnd)
	} else {
		s.addAny(rnd)
	}
	return s
}

// addHealable adds few faults, so that patience outlasts them all in a row.
func (s *schedule) addHealable(rnd *rand.Rand) {
	heal := []kind{cut, reset, stall, slow, tooMany, unavailable, broken, ignored, shifted, refused, goAway}
	for range 1 + rnd.IntN(3) {
		if rnd.IntN(4) == 0 {
			s.connections[rnd.IntN(4)] = fault{heal[rnd.IntN(4)], rnd.IntN(1 << (8 + rnd.IntN(11)))}
			continue
		}
		object := objects[rnd.IntN(len(objects))]
		s.answers[object] = append(s.answers[object], newFault(rnd, heal[rnd.IntN(len(heal))], object))
	}
}

// addAny adds many faults of all kinds.
func (s *schedule) addAny(rnd *rand.Rand) {
	for range rnd.IntN(4) {
		s.connections[rnd.IntN(8)] = fault{kind(rnd.IntN(int(flip) + 1)), rnd.IntN(1 << (8 + rnd.IntN(11)))}
	}
	for range 1 + rnd.IntN(6) {
		object := objects[rnd.IntN(len(objects))]
		s.answers[object] = append(s.answers[object], newFault(rnd, kind(rnd.IntN(int(kinds))), object))
	}
	if rnd.IntN(12) == 0 {
		object := objects[rnd.IntN(len(objects))]
		s.always[object] = newFault(rnd, kind(rnd.IntN(int(kinds))), object)
	}
}

func newFault(rnd *rand.Rand, k kind, object string) fault {
	switch k {
	case tooMany, unavailable:
		return fault{k, rnd.IntN(2)}
	default:
		return fault{k, rnd.IntN(sizes[object])}
	}
}

// String says what goes wrong, so that people can think about it.
func (s *schedule) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d: tls=%t token=%d redirect=%d every=%d rate=%d healable=%t", s.seed, s.tls, s.token, s.redirect, s.every, s.rate, s.healable)
	for _, n := range slices.Sorted(maps.Keys(s.connections)) {
		fmt.Fprintf(&b, "; connection %d: %s", n, s.connections[n])
	}
	for _, object := range objects {
		if faults := s.answers[object]; len(faults) > 0 {
			fmt.Fprintf(&b, "; %s: %v", object, faults)
		}
		if f, ok := s.always[object]; ok {
			fmt.Fprintf(&b, "; %s always: %s", object, f)
		}
	}
	return b.String()
}
