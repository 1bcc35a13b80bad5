package registry

import "sync"

// chunkBytes is the piece in which memory is taken: small beside a part, large
// beside what a connection brings at once.
const chunkBytes = 128 << 10

// budget is what the layers of a client that come by several connections share.
// Its lock guards the parts of all of them, since memory that one layer gives
// back is what another waits for.
type budget struct {
	mu          sync.Mutex
	freed       *sync.Cond // Memory was given back, or somebody has a right to more.
	memory      int64      // Bytes that may still be taken.
	spare       [][]byte   // Chunks that were given back.
	connections int        // As many more may be opened.
	reserved    int        // As many are open or will be.
}

func newBudget(r Ranges) *budget {
	b := &budget{memory: r.MemoryBytes, connections: r.AllConnections}
	b.freed = sync.NewCond(&b.mu)
	return b
}

// reserve reports whether n more connections may be opened, and if so, counts
// them.
func (b *budget) reserve(n int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.connections < n {
		return false
	}
	b.connections -= n
	b.reserved += n
	return true
}

// release gives n connections back. It and what follows are called with the lock
// held.
func (b *budget) release(n int) {
	b.connections += n
	b.reserved -= n
	if b.reserved == 0 {
		b.spare = nil
	}
}

// take returns a chunk if there is memory for it, or if it must be.
func (b *budget) take(must bool) []byte {
	if b.memory < chunkBytes && !must {
		return nil
	}
	b.memory -= chunkBytes
	if n := len(b.spare); n > 0 {
		chunk := b.spare[n-1]
		b.spare = b.spare[:n-1]
		return chunk
	}
	return make([]byte, chunkBytes)
}

// give takes a chunk back, and keeps it while there is use for it.
func (b *budget) give(chunk []byte) {
	b.memory += chunkBytes
	if b.reserved > 0 {
		b.spare = append(b.spare, chunk)
	}
	b.freed.Broadcast()
}
