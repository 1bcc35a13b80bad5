package registry

import (
	"cmp"
	"time"
)

// Ranges says when a large layer is fetched by several Range requests at once
// (RFC 9110, section 14), and how. A zero field has the default that it names.
type Ranges struct {
	// Connections is the most that one layer gets; with 1 it always has one.
	// Default: 4.
	Connections int
	// AllConnections is the most that all layers of a client together get for
	// this. Default: 8.
	AllConnections int
	// Starving is how long a reader must have waited for its connections, for
	// three quarters of the time, before their number is thought about.
	// Default: 400 ms.
	Starving time.Duration
	// LeastBytes must be left of a layer for it to get more connections.
	// Default: 16 MiB.
	LeastBytes int64
	// PartBytes is what one request asks for. Default: 4 MiB.
	PartBytes int64
	// MemoryBytes bounds what came before its turn, of all layers of a client
	// together. Default: 6 MiB.
	MemoryBytes int64
}

func (r Ranges) withDefaults() Ranges {
	connections := cmp.Or(r.Connections, 4)
	return Ranges{
		Connections:    connections,
		AllConnections: max(cmp.Or(r.AllConnections, 8), connections),
		Starving:       cmp.Or(r.Starving, 400*time.Millisecond),
		LeastBytes:     cmp.Or(r.LeastBytes, 16<<20),
		PartBytes:      cmp.Or(r.PartBytes, 4<<20),
		MemoryBytes:    cmp.Or(r.MemoryBytes, 6<<20),
	}
}
