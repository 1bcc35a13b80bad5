// Package ahead lets the stages of a pipeline run side by side: a goroutine
// fills a few buffers while another reads those that are full. What is in the
// buffers, and how they are filled, it does not know.
package ahead

import "io"

// Reader reads what a goroutine fills in ahead of it. It is not safe for
// concurrent use, and it belongs to whoever closes it.
type Reader[B any] struct {
	free chan B         // buffers to be filled
	full chan filled[B] // filled ones, in order
	quit chan struct{}  // closed by Close
	done chan struct{}  // closed when the goroutine has ended

	current filled[B] // what Read has begun to deliver
	open    bool      // there is a current one, and its buffer is not free
}

// filled is a buffer with what fill said of it.
type filled[B any] struct {
	buf  B
	data []byte
	err  error
}

// NewReader starts to read ahead. The function fill puts the next part of the
// content into a buffer and returns it, with io.EOF or another error together
// with the last part or after it; it is called by one goroutine at a time, and
// not again after an error. At most as many parts are ahead as there are
// buffers.
func NewReader[B any](buffers []B, fill func(buf B) (data []byte, err error)) *Reader[B] {
	r := &Reader[B]{
		free: make(chan B, len(buffers)),
		full: make(chan filled[B], len(buffers)),
		quit: make(chan struct{}),
		done: make(chan struct{}),
	}
	for _, buf := range buffers {
		r.free <- buf
	}
	go r.run(fill)
	return r
}

// run fills buffers until an error or Close. Every buffer has a place in full,
// so that only a missing free one can make it wait.
func (r *Reader[B]) run(fill func(buf B) ([]byte, error)) {
	defer close(r.done)
	for {
		select {
		case <-r.quit:
			return
		case buf := <-r.free:
			data, err := fill(buf)
			r.full <- filled[B]{buf: buf, data: data, err: err}
			if err != nil {
				return
			}
		}
	}
}

// Read delivers what was filled in, and then the error that ended it.
func (r *Reader[B]) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for len(r.current.data) == 0 {
		if r.current.err != nil {
			return 0, r.current.err
		}
		r.next()
	}
	n := copy(p, r.current.data)
	r.current.data = r.current.data[n:]
	return n, nil
}

// next waits for the next filled buffer and gives the last one back.
func (r *Reader[B]) next() {
	if r.open {
		r.free <- r.current.buf
	}
	r.current, r.open = <-r.full, true
}

// Close ends the reading ahead and waits for it. A fill that is under way is
// waited for: whoever fills from something that can block makes that end first.
func (r *Reader[B]) Close() error {
	close(r.quit)
	<-r.done
	r.current = filled[B]{err: io.ErrClosedPipe}
	return nil
}

// Buffers returns n buffers of size bytes, for Copy.
func Buffers(n, size int) [][]byte {
	buffers := make([][]byte, n)
	for i := range buffers {
		buffers[i] = make([]byte, size)
	}
	return buffers
}

// Copy returns a fill that takes its content from src. It fills each buffer as
// far as src gives something at once, so that a slow source is not waited for
// longer than need be.
func Copy(src io.Reader) func(buf []byte) ([]byte, error) {
	return func(buf []byte) ([]byte, error) {
		n, err := src.Read(buf)
		return buf[:n], err
	}
}
