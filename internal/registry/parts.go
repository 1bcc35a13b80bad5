package registry

import (
	"context"
	"io"
	"net/http"
	"sync"
)

// parts is a stream of the bytes of a blob from one offset to its end that are
// fetched by several requests at once, each for one part. There is a goroutine
// for each connection. It takes one part after the other, in their order, and
// keeps in memory what comes before its turn. Where the memory of the budget
// ends it waits, and its connection with it; only the part that is being read
// always may have one chunk, so that the reader gets on whatever others hold.
type parts struct {
	budget *budget
	size   int64                         // Of one part.
	open   func(from, to int64) *stretch // Connects to nobody yet.
	cancel context.CancelFunc            // Ends what open returned.
	work   sync.WaitGroup

	// What follows is guarded by the lock of the budget.
	arrived   *sync.Cond // The part that is being read got bytes, or its end.
	list      []*part    // Those that were taken and not read to their end.
	next, end int64      // What nobody took yet.
	want      int        // How many goroutines there should be,
	working   int        // and how many there are.
	came      int64      // Bytes, in all parts.
	closed    bool
}

// part is what came of a stretch and was not read yet.
type part struct {
	stretch *stretch
	chunks  []chunk
	done    bool
	err     error // Why it is done, if not by its end.
}

// chunk is memory that is filled up to one point and read up to another.
type chunk struct {
	buf          []byte
	read, filled int
}

// newParts returns the stream from an offset to an end.
func newParts(b *budget, size, offset, end int64, open func(from, to int64) *stretch, cancel context.CancelFunc) *parts {
	return &parts{budget: b, size: size, open: open, cancel: cancel, arrived: sync.NewCond(&b.mu), next: offset, end: end}
}

// begin opens n connections, which were reserved.
func (ps *parts) begin(n int) {
	ps.want, ps.working = n, n
	for range n {
		ps.work.Go(ps.run)
	}
}

// shrink leaves n connections. The others end when their parts do.
func (ps *parts) shrink(n int) {
	ps.budget.mu.Lock()
	defer ps.budget.mu.Unlock()
	ps.want = n
}

// finish lets the stream end with the parts that were taken.
func (ps *parts) finish() {
	ps.budget.mu.Lock()
	defer ps.budget.mu.Unlock()
	ps.end = ps.next
}

// arrivals returns how many bytes have come.
func (ps *parts) arrivals() int64 {
	ps.budget.mu.Lock()
	defer ps.budget.mu.Unlock()
	return ps.came
}

func (ps *parts) run() {
	for p := ps.take(); p != nil; p = ps.take() {
		ps.fill(p)
		_ = p.stretch.Close() // It was only read from.
	}
}

// take returns the next part to a goroutine, or nil to one that is to end.
func (ps *parts) take() *part {
	ps.budget.mu.Lock()
	defer ps.budget.mu.Unlock()
	if ps.closed || ps.next == ps.end || ps.working > ps.want {
		ps.working--
		ps.budget.release(1)
		return nil
	}
	to := min(ps.next+ps.size, ps.end)
	p := &part{stretch: ps.open(ps.next, to)}
	ps.list = append(ps.list, p)
	ps.next = to
	return p
}

// fill reads a part to its end.
func (ps *parts) fill(p *part) {
	for !p.done {
		room := ps.room(p)
		if room == nil {
			return
		}
		n, err := p.stretch.Read(room)
		ps.deliver(p, n, err)
	}
}

// room waits for memory for a part; nil: the stream was closed.
func (ps *parts) room(p *part) []byte {
	ps.budget.mu.Lock()
	defer ps.budget.mu.Unlock()
	for !ps.closed {
		if n := len(p.chunks); n > 0 && p.chunks[n-1].filled < chunkBytes {
			last := p.chunks[n-1]
			return last.buf[last.filled:]
		}
		isRead := ps.list[0] == p && len(p.chunks) == 0
		if buf := ps.budget.take(isRead); buf != nil {
			p.chunks = append(p.chunks, chunk{buf: buf})
			continue
		}
		ps.budget.freed.Wait()
	}
	return nil
}

// deliver notes what was read into the room of a part. After an error no further
// part is taken.
func (ps *parts) deliver(p *part, n int, err error) {
	ps.budget.mu.Lock()
	defer ps.budget.mu.Unlock()
	p.chunks[len(p.chunks)-1].filled += n
	ps.came += int64(n)
	if err != nil {
		p.done = true
	}
	if err != nil && err != io.EOF { //nolint:errorlint // a stretch ends with io.EOF itself
		p.err = err
		ps.end = ps.next
	}
	if ps.list[0] == p {
		ps.arrived.Signal()
	}
}

// Read reads what has come, or waits for it.
func (ps *parts) Read(p []byte) (int, error) {
	ps.budget.mu.Lock()
	defer ps.budget.mu.Unlock()
	for {
		switch {
		case ps.closed:
			return 0, http.ErrBodyReadAfterClose
		case len(ps.list) == 0 && ps.next == ps.end:
			return 0, io.EOF
		case len(ps.list) > 0:
			first := ps.list[0]
			if n := ps.drain(first, p); n > 0 {
				return n, nil
			}
			if first.err != nil {
				return 0, first.err
			}
			if first.done {
				ps.list = ps.list[1:]
				ps.budget.freed.Broadcast()
				continue
			}
		}
		ps.arrived.Wait()
	}
}

// drain reads from a part, and gives back the chunks that are empty then.
func (ps *parts) drain(from *part, p []byte) (n int) {
	for n < len(p) && len(from.chunks) > 0 {
		c := &from.chunks[0]
		copied := copy(p[n:], c.buf[c.read:c.filled])
		n += copied
		c.read += copied
		if c.read < c.filled || c.filled < chunkBytes && !from.done {
			break
		}
		ps.budget.give(c.buf)
		from.chunks = from.chunks[1:]
	}
	return n
}

// Close ends all connections and waits for them.
func (ps *parts) Close() error {
	ps.budget.mu.Lock()
	ps.closed = true
	ps.budget.freed.Broadcast()
	ps.budget.mu.Unlock()
	ps.cancel()
	ps.work.Wait()
	ps.budget.mu.Lock()
	defer ps.budget.mu.Unlock()
	for _, p := range ps.list {
		for _, c := range p.chunks {
			ps.budget.give(c.buf)
		}
	}
	ps.list = nil
	return nil
}
