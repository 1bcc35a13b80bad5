package bridge

import (
	"slices"
	"sync"
	"time"
)

// maxUnsent is how much may wait for the clients of one outbox that are
// connected but do not read, before the server is made to wait.
const maxUnsent = 8 << 20

// outbox holds what a server has sent for the clients of one session: on
// streams, each of which is a sequence of messages for one place.
//
// A stream outlives the connection that reads it. Messages that were sent stay
// for a while, so that a client whose connection broke can ask for them again;
// those that nobody is there to read stay as long. Both are bounded together,
// and the oldest go first. Only what waits for a client that is connected is
// never dropped: the server waits in its turn, until the client has read it or
// its connection has been cut because it does not read.
type outbox struct {
	// keepBytes and keepEvents bound what is kept.
	keepBytes, keepEvents int
	// keepAlive is after how long at most a silent stream gets a comment.
	keepAlive time.Duration

	mu      sync.Mutex
	room    sync.Cond // signalled when unsent gets less, and when the outbox closes
	streams map[uint64]*stream
	numbers uint64
	held    []*stream // whose oldest event is the oldest, the second oldest, ...
	bytes   int       // of all events held
	unsent  int       // bytes that wait for clients that are connected
	hurried bool      // nobody waits for room
	closed  bool      // no stream goes on
	// beat runs twice in keepAlive while a connection reads: one timer for all
	// streams, because most calls are over long before it.
	beat    *time.Timer
	beating bool
}

// event is one message on a stream.
type event struct {
	sequence uint64 // counts from 1 on each stream; 0 is the start
	data     []byte
	// final says that the message answers the only request of its stream.
	final bool
}

// stream is a sequence of messages for one place.
type stream struct {
	box    *outbox
	number uint64
	// standing says that the stream belongs to no request.
	standing bool
	// solitary says that it belongs to one request.
	solitary bool
	// open is how many requests it has yet to answer.
	open int

	events []event // those held
	next   uint64  // the sequence number of the next event to send
	last   uint64  // that of the last event there was
	ended  bool    // there will be no more
	reader *reader // the connection that reads it; nil if there is none
}

// reader is a connection that reads a stream.
type reader struct {
	wake  chan struct{} // has a token when there may be news
	beats int           // since the last event
}

// quietBeats is after how many beats a stream is silent.
const quietBeats = 2

func newOutbox(opts *Options) *outbox {
	box := &outbox{keepBytes: opts.KeepBytes, keepEvents: keepEvents, keepAlive: opts.KeepAlive, streams: map[uint64]*stream{}}
	box.room.L = &box.mu
	return box
}

// newStream adds a stream that answers so many requests; one that answers none
// stands. The caller holds the lock, as in all that follows without a word.
func (b *outbox) newStream(requests int) *stream {
	b.numbers++
	st := &stream{
		box: b, number: b.numbers, next: 1,
		standing: requests == 0, solitary: requests == 1, open: requests, ended: b.closed,
	}
	b.streams[st.number] = st
	return st
}

// add appends a message to a stream.
func (st *stream) add(data []byte, answers bool) {
	b := st.box
	if answers {
		st.open--
	}
	st.last++
	st.events = append(st.events, event{sequence: st.last, data: data, final: answers && st.solitary})
	b.held = append(b.held, st)
	b.bytes += len(data)
	if st.reader != nil {
		b.unsent += len(data)
	}
	if !st.standing && st.open == 0 {
		st.ended = true
	}
	b.trim()
	st.wake()
}

// end says that nothing more comes.
func (st *stream) end() {
	st.ended = true
	st.box.forgetIfDone(st)
	st.wake()
}

func (st *stream) wake() {
	if st.reader != nil {
		select {
		case st.reader.wake <- struct{}{}:
		default:
		}
	}
}

// attach makes a connection the reader of a stream, in place of any other,
// from the event after a given one on.
func (st *stream) attach(after uint64) *reader {
	st.detach(st.reader)
	st.reader = &reader{wake: make(chan struct{}, 1)}
	st.next = after + 1
	st.box.unsent += st.waiting()
	st.box.startBeating()
	return st.reader
}

func (b *outbox) startBeating() {
	switch {
	case b.beating || b.closed:
		return
	case b.beat == nil:
		b.beat = time.AfterFunc(b.keepAlive/quietBeats, b.onBeat)
	default:
		b.beat.Reset(b.keepAlive / quietBeats)
	}
	b.beating = true
}

// onBeat wakes the connections whose streams are silent. It takes the lock
// itself.
func (b *outbox) onBeat() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.beating = false
	if b.closed {
		return // or the timer would keep all of the session
	}
	for _, st := range b.streams {
		if st.reader == nil {
			continue
		}
		b.beating = true
		if st.reader.beats++; st.reader.beats >= quietBeats {
			st.wake()
		}
	}
	if b.beating {
		b.beat.Reset(b.keepAlive / quietBeats)
	}
}

// detach takes a connection from a stream, if it still reads it.
func (st *stream) detach(r *reader) {
	if r == nil || st.reader != r {
		return
	}
	st.box.unsent -= st.waiting()
	st.wake() // the reader finds out that it is none
	st.reader = nil
	st.box.trim()
	st.box.forgetIfDone(st)
	st.box.room.Broadcast()
}

// takeBack takes the messages off the stream that no reader has taken.
func (st *stream) takeBack() [][]byte {
	b := st.box
	var unread [][]byte
	st.events = slices.DeleteFunc(st.events, func(e event) bool {
		if e.sequence < st.next {
			return false
		}
		unread = append(unread, e.data)
		b.bytes -= len(e.data)
		if st.reader != nil {
			b.unsent -= len(e.data)
		}
		return true
	})
	for range unread {
		i := lastIndex(b.held, st)
		b.held = slices.Delete(b.held, i, i+1)
	}
	return unread
}

func lastIndex(streams []*stream, st *stream) int {
	for i, other := range slices.Backward(streams) {
		if other == st {
			return i
		}
	}
	return -1
}

// waiting returns how many bytes the reader has yet to read.
func (st *stream) waiting() int {
	n := 0
	for _, e := range st.events {
		if e.sequence >= st.next {
			n += len(e.data)
		}
	}
	return n
}

// news is what a reader finds on its stream.
type news int

const (
	nothing   news = iota // yet
	message               // an event
	silence               // for so long that the client should hear of us
	theEnd                // of the stream: all was read
	takenOver             // by another connection
)

// take returns the next event for a reader. It takes the lock itself.
func (st *stream) take(r *reader) (event, news) {
	b := st.box
	b.mu.Lock()
	defer b.mu.Unlock()
	if st.reader != r {
		return event{}, takenOver
	}
	for _, e := range st.events {
		if e.sequence < st.next {
			continue
		}
		st.next = e.sequence + 1
		r.beats = 0
		b.unsent -= len(e.data)
		b.trim()
		b.room.Broadcast()
		return e, message
	}
	switch {
	case st.ended:
		return event{}, theEnd
	case r.beats >= quietBeats:
		r.beats = 0
		return event{}, silence
	}
	return event{}, nothing
}

// trim drops the oldest events when there are too many.
func (b *outbox) trim() {
	for len(b.held) > b.keepEvents || b.bytes > b.keepBytes && len(b.held) > 1 {
		st := b.held[0]
		if st.reader != nil && st.events[0].sequence >= st.next {
			return // a client is about to read it
		}
		b.bytes -= len(st.events[0].data)
		st.events[0].data = nil
		st.events = st.events[1:]
		b.held[0] = nil
		b.held = b.held[1:]
		b.forgetIfDone(st)
	}
}

// forgetIfDone forgets a stream that nobody can ask for any more.
func (b *outbox) forgetIfDone(st *stream) {
	if st.reader == nil && len(st.events) == 0 && (st.ended || st.standing) {
		delete(b.streams, st.number)
	}
}

// drop drops a stream with all that is kept of it.
func (b *outbox) drop(st *stream) {
	b.held = slices.DeleteFunc(b.held, func(other *stream) bool { return other == st })
	for _, e := range st.events {
		b.bytes -= len(e.data)
	}
	st.events = nil
	delete(b.streams, st.number)
}

// awaitRoom waits while too much is unsent, unless the end is near.
func (b *outbox) awaitRoom() {
	for b.unsent > maxUnsent && !b.hurried {
		b.room.Wait()
	}
}

// hurry lets the server go on when nobody reads, because it is ending and
// cannot send much more.
func (b *outbox) hurry() {
	b.hurried = true
	b.room.Broadcast()
}

// close ends all streams, now and to come.
func (b *outbox) close() {
	b.closed = true
	if b.beating {
		b.beat.Stop()
	}
	b.hurry()
	for _, st := range b.streams {
		st.end()
	}
}
