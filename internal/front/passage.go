package front

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
)

// Passage is what a lobby hands over to another process.
type Passage struct {
	// Listener is the listener.
	Listener *os.File
	// Guests are the connections that nobody has answered.
	Guests []Guest
}

// Open returns a listener that accepts the guests first. It closes the files.
func (p Passage) Open() (net.Listener, error) {
	listener, err := net.FileListener(p.Listener)
	if err = errors.Join(err, p.Listener.Close()); err != nil {
		return nil, fmt.Errorf("cannot take over the listener: %w", err)
	}
	r := &resumed{Listener: listener}
	for _, g := range p.Guests {
		conn, err := net.FileConn(g.File)
		if err = errors.Join(err, g.File.Close()); err != nil {
			continue // it has broken meanwhile
		}
		r.guests = append(r.guests, &guest{conn, g.Read})
	}
	return r, nil
}

// resumed is a listener that others have listened at before.
type resumed struct {
	net.Listener

	mu     sync.Mutex
	guests []net.Conn
}

// Accept returns the next guest, and then who comes.
func (r *resumed) Accept() (net.Conn, error) {
	if g := r.next(); g != nil {
		return g, nil
	}
	return r.Listener.Accept()
}

func (r *resumed) next() net.Conn {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.guests) == 0 {
		return nil
	}
	g := r.guests[0]
	r.guests = r.guests[1:]
	return g
}

// guest is a connection of which something was read already.
type guest struct {
	net.Conn

	read []byte
}

// Read reads once more what was read before.
func (g *guest) Read(p []byte) (int, error) {
	if len(g.read) == 0 {
		return g.Conn.Read(p)
	}
	n := copy(p, g.read)
	g.read = g.read[n:]
	return n, nil
}

// CloseWrite tells the client that nothing follows.
func (g *guest) CloseWrite() error {
	half, ok := g.Conn.(interface{ CloseWrite() error })
	if !ok {
		return nil
	}
	return half.CloseWrite()
}
