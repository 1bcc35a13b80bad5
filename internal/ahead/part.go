package ahead

import "sync/atomic"

// Part is a piece of the content in the buffer that it was filled into. It has
// one reference when a Reader returns it; the buffer is filled again when the
// last one is released. Its methods may be called by any goroutine.
type Part struct {
	fill func() ([]byte, error)
	free chan<- *Part // has a place for every part
	refs atomic.Int32

	data []byte
	err  error // what ended the content with this part
}

// Data returns the bytes of the part, not to be changed. They are valid until
// the last reference is released.
func (p *Part) Data() []byte { return p.data }

// Retain adds a reference. The caller holds one already.
func (p *Part) Retain() { p.refs.Add(1) }

// Release gives one reference back.
func (p *Part) Release() {
	switch refs := p.refs.Add(-1); {
	case refs == 0:
		p.free <- p
	case refs < 0:
		panic("internal error: a part is released more often than it was retained")
	}
}
