package registry

import (
	"context"
	"errors"
	"io"
	"time"
)

// feed hands out the bytes of a blob in their order, over one connection or
// several:
//
//	one --the reader starves--> asking --206--> several --they do not help--> one, for good
//	                               |               |
//	                               +--not a 206----+--> one, for good
//
// It begins with one, as any client would, and most layers need no more. When the
// reader starves while much of the layer is left, the registry is asked for a
// single byte by a range, which shows whether it knows ranges; meanwhile the
// connection goes on. If so, it is given up for several, each of which fetches one
// part after the other: see parts. How many there are is for pace to say; it is
// half as many when the registry finds them too many. A registry that all of a
// sudden knows no ranges is read over one connection again, from where the reader
// is.
type feed struct {
	offset, size int64
	pace         pace
	ways         ways
	cancel       context.CancelFunc // Ends what ways opened.

	one     *stretch  // nil: several.
	several *parts    // nil: one.
	base    int64     // The offset at which several began.
	asked   chan bool // Gets the answer while somebody asks; nil: nobody does.
}

// Read reads from one connection or several, and changes that if it is time.
func (f *feed) Read(p []byte) (int, error) {
	for f.offset < f.size {
		f.steer(time.Now())
		n, err := f.read(p)
		switch {
		case n > 0:
			f.offset += int64(n)
			return n, nil
		case f.several != nil && (err == io.EOF || errors.Is(err, errNoRange)): //nolint:errorlint // parts end with io.EOF itself
			f.unite()
		case err != nil:
			return 0, err
		}
	}
	return 0, io.EOF
}

func (f *feed) read(p []byte) (int, error) {
	begin := time.Now()
	defer func() { f.pace.waited += time.Since(begin) }()
	if f.several != nil {
		return f.several.Read(p)
	}
	return f.one.Read(p)
}

// steer changes the number of connections if it is time to.
func (f *feed) steer(now time.Time) {
	switch {
	case f.asked != nil:
		f.listen(now)
	case f.several != nil && f.ways.crowded():
		f.shrink(f.pace.connections / 2)
	case f.pace.isDue(now):
		f.change(f.pace.think(now, f.came(), f.size-f.offset))
	}
}

// came is how many bytes have come, read or not.
func (f *feed) came() int64 {
	if f.several != nil {
		return f.base + f.several.arrivals()
	}
	return f.offset
}

func (f *feed) change(n int) {
	switch {
	case n < f.pace.connections:
		f.shrink(n)
	case n > f.pace.connections && f.ways.budget.reserve(n):
		asked, offset := make(chan bool, 1), f.offset
		go func() { asked <- f.ways.ask(offset) }()
		f.asked = asked
	}
}

// listen goes over to several connections when the answer is that ranges work.
func (f *feed) listen(now time.Time) {
	select {
	case yes := <-f.asked:
		f.asked = nil
		if yes {
			f.divide(now)
		} else {
			f.drop()
		}
	default:
	}
}

// divide gives up the one connection for several.
func (f *feed) divide(now time.Time) {
	_ = f.one.Close() // It was only read from.
	f.one, f.several, f.base = nil, f.ways.parts(f.offset), f.offset
	f.several.begin(f.pace.Connections)
	f.pace.grow(now, f.offset)
}

// drop lets go of what was reserved for several.
func (f *feed) drop() {
	f.pace.settle(1)
	f.ways.budget.mu.Lock()
	defer f.ways.budget.mu.Unlock()
	f.ways.budget.release(f.pace.Connections)
}

// shrink leaves fewer connections, for good. Before it is one, the parts that are
// under way come to their end.
func (f *feed) shrink(n int) {
	f.pace.settle(n)
	if n <= 1 {
		f.several.finish()
	} else {
		f.several.shrink(n)
	}
}

// unite goes back to one connection.
func (f *feed) unite() {
	_ = f.several.Close()
	f.several, f.one = nil, f.ways.rest(f.offset)
	f.pace.settle(1)
}

// Close ends all connections.
func (f *feed) Close() error {
	f.cancel()
	if f.asked != nil {
		<-f.asked
		f.asked = nil
		f.drop()
	}
	if f.several != nil {
		return f.several.Close()
	}
	return f.one.Close()
}
