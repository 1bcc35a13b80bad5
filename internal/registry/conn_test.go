package registry_test

import (
	"bytes"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// conn is an end of a connection in memory. Other than those of net.Pipe, its
// writes never wait for a reader, as those of a socket with room in its buffers:
// TLS and HTTP write under locks that the reading side needs.
type conn struct {
	in, out *stream
	address net.Addr
}

func (c *conn) Read(p []byte) (int, error)  { return c.in.read(p) }
func (c *conn) Write(p []byte) (int, error) { return c.out.write(p) }

// Close ends both directions; what was written can still be read.
func (c *conn) Close() error {
	c.in.set(func(s *stream) { s.unread = true })
	c.out.set(func(s *stream) { s.ended = true })
	return nil
}

func (c *conn) LocalAddr() net.Addr            { return c.address }
func (c *conn) RemoteAddr() net.Addr           { return c.address }
func (c *conn) SetDeadline(t time.Time) error  { return c.SetReadDeadline(t) }
func (*conn) SetWriteDeadline(time.Time) error { return nil }
func (c *conn) SetReadDeadline(t time.Time) error {
	c.in.set(func(s *stream) { s.deadline = t })
	if !t.IsZero() {
		time.AfterFunc(time.Until(t), func() { c.in.set(func(*stream) {}) })
	}
	return nil
}

// stream is one direction of a connection.
type stream struct {
	mu       sync.Mutex
	changed  *sync.Cond
	buf      bytes.Buffer
	ended    bool // Nobody writes any more.
	unread   bool // Nobody reads any more.
	deadline time.Time
}

func newStream() *stream {
	s := &stream{}
	s.changed = sync.NewCond(&s.mu)
	return s
}

func (s *stream) set(change func(*stream)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
	s.changed.Broadcast()
}

func (s *stream) read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case s.unread:
			return 0, net.ErrClosed
		case !s.deadline.IsZero() && !time.Now().Before(s.deadline):
			return 0, os.ErrDeadlineExceeded
		case s.buf.Len() > 0:
			return s.buf.Read(p)
		case s.ended:
			return 0, io.EOF
		}
		s.changed.Wait()
	}
}

func (s *stream) write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended || s.unread {
		return 0, net.ErrClosed
	}
	s.changed.Broadcast()
	return s.buf.Write(p)
}
