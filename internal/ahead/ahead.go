// Package ahead lets the stages of a pipeline run side by side: a goroutine
// fills a few buffers while others read those that are full. What is in the
// buffers, and how they are filled, it does not know.
package ahead

import "io"

// Reader reads what a goroutine fills in ahead of it, by parts or by Read. It
// is not safe for concurrent use, but that Close may be called while another
// goroutine reads, which gets an error then. The parts that it gave out may be
// anybody's.
type Reader struct {
	free chan *Part    // buffers to be filled
	full chan *Part    // filled ones, in order
	quit chan struct{} // closed by Close
	done chan struct{} // closed when the goroutine has ended

	err error // what ended the content, once that is known

	current *Part // what Read has begun to deliver, nil if nothing
	unread  []byte
}

// NewReader starts to read ahead into at most n buffers. The function fill puts
// the next part of the content into a buffer and returns it, with io.EOF or
// another error together with the last part or after it; it is called by one
// goroutine at a time, and not again after an error. A buffer is new, with its
// zero value, when it is first filled: short content does not need all of them.
func NewReader[B any](n int, fill func(buf *B) (data []byte, err error)) *Reader {
	r := &Reader{
		free: make(chan *Part, n),
		full: make(chan *Part, n),
		quit: make(chan struct{}),
		done: make(chan struct{}),
	}
	for range n {
		var buf *B
		r.free <- &Part{free: r.free, fill: func() ([]byte, error) {
			if buf == nil {
				buf = new(B)
			}
			return fill(buf)
		}}
	}
	go r.run()
	return r
}

// run fills buffers until an error or Close. Every buffer has a place in full,
// so that only a missing free one can make it wait.
func (r *Reader) run() {
	defer close(r.done)
	for {
		select {
		case <-r.quit:
			return
		case part := <-r.free:
			part.data, part.err = part.fill()
			part.refs.Store(1)
			r.full <- part
			if part.err != nil {
				return
			}
		}
	}
}

// Next returns the next part, which holds at least one byte and is the
// caller's to release, or the error that ended the content. It waits until a
// part is filled, and so until one of the buffers is free: who holds as many
// parts as there are buffers waits for ever.
func (r *Reader) Next() (*Part, error) {
	for !r.closed() {
		if r.err != nil {
			return nil, r.err
		}
		select {
		case <-r.quit: // the last part that was filled may hold no error
		case part := <-r.full:
			r.err = part.err
			if len(part.data) > 0 {
				return part, nil
			}
			part.Release()
		}
	}
	return nil, io.ErrClosedPipe
}

// Read delivers what was filled in, and then the error that ended it.
func (r *Reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if r.current == nil {
		part, err := r.Next()
		if err != nil {
			return 0, err
		}
		r.current, r.unread = part, part.Data()
	}
	n := copy(p, r.unread)
	r.unread = r.unread[n:]
	if len(r.unread) == 0 {
		r.current.Release()
		r.current = nil
	}
	return n, nil
}

// Close ends the reading ahead and waits for it. A fill that is under way is
// waited for: whoever fills from something that can block makes that end first.
// Parts that are not released stay as they are.
func (r *Reader) Close() error {
	close(r.quit)
	<-r.done
	return nil
}

func (r *Reader) closed() bool {
	select {
	case <-r.quit:
		return true
	default:
		return false
	}
}
