package registry

import "time"

// worthwhile is by how much faster the bytes must come over several connections
// for these to be kept.
const worthwhile = 1.2

// pace decides over how many connections a layer should come. It thinks in
// rounds as long as Ranges.Starving. A round in which the reader did not starve
// says that it waits for something else than connections, and changes nothing.
// After one in which it did, it is to get all that it may, if enough is left. They
// have one round to come up to their speed; when the next in which the reader
// starves does not show that they help, they are taken back. That is for good.
//
// To add one connection after the other would cost a round for each, and find
// out no more than that as many as fill a line do so.
type pace struct {
	Ranges

	connections int
	settled     bool    // The number will not change any more.
	alone       float64 // Bytes a second over one connection.
	fresh       bool    // The connections are new in this round.

	// The round.
	begin  time.Time
	came   int64 // Bytes that had come before it.
	waited time.Duration
}

func newPace(r Ranges, now time.Time, came int64) pace {
	return pace{Ranges: r, connections: 1, settled: r.Connections <= 1, begin: now, came: came}
}

// isDue reports whether it is time to think.
func (p *pace) isDue(now time.Time) bool {
	return !p.settled && now.Sub(p.begin) >= p.Starving
}

// think ends a round, when so many bytes have come and so many are left, and
// returns how many connections there should be.
func (p *pace) think(now time.Time, came, left int64) int {
	took := now.Sub(p.begin)
	rate := float64(came-p.came) / took.Seconds()
	starved, fresh := p.waited >= took/4*3, p.fresh
	p.restart(now, came)
	switch {
	case !starved || fresh:
		return p.connections
	case p.connections > 1 && rate < p.alone*worthwhile:
		return 1
	case p.connections > 1 || left < p.LeastBytes:
		p.settled = true
		return p.connections
	default:
		p.alone = rate
		return p.Connections
	}
}

func (p *pace) restart(now time.Time, came int64) {
	p.begin, p.came, p.waited, p.fresh = now, came, 0, false
}

// grow begins a round with all connections.
func (p *pace) grow(now time.Time, came int64) {
	p.restart(now, came)
	p.connections, p.fresh = p.Connections, true
}

// settle notes that there are so many connections, and will be.
func (p *pace) settle(n int) {
	p.connections, p.settled = n, true
}
