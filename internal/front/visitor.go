package front

import (
	"errors"
	"net"
	"os"
	"sync"
	"time"
)

// visitor is a connection in the lobby. As long as nothing was written to it,
// it can be handed over, with all that was read of it.
type visitor struct {
	net.Conn

	tcp  *net.TCPConn
	gone func(*visitor)

	// reading is held while somebody reads, and guards read.
	reading sync.Mutex
	read    []byte

	mu       sync.Mutex
	answered bool // something was written, or it was closed
	handed   bool // it belongs to the successor: the lobby's server must not touch it
}

// errHanded says that the connection is not the lobby's any more.
var errHanded = errors.New("the connection was handed over")

// handOver returns the connection, unless it is being answered.
func (v *visitor) handOver() (Guest, bool) {
	v.mu.Lock()
	if v.answered {
		v.mu.Unlock()
		return Guest{}, false
	}
	v.handed = true
	v.mu.Unlock()
	// Whoever waits for data gives up at once; then all that was read is known.
	err := v.Conn.SetReadDeadline(time.Unix(1, 0))
	v.reading.Lock()
	defer v.reading.Unlock()
	file, fileErr := v.tcp.File()
	if errors.Join(err, fileErr, v.tcp.Close()) != nil {
		return Guest{}, false // it has broken
	}
	return Guest{File: file, Read: v.read}, true
}

// isHanded says whether the lobby's server has lost the connection.
func (v *visitor) isHanded() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.handed
}

// isOpen says whether it is undecided who answers.
func (v *visitor) isOpen() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return !v.answered
}

// Read reads, and remembers it.
func (v *visitor) Read(p []byte) (int, error) {
	v.reading.Lock()
	defer v.reading.Unlock()
	if v.isHanded() {
		return 0, errHanded
	}
	n, err := v.Conn.Read(p)
	if v.isOpen() {
		v.read = append(v.read, p[:n]...)
	}
	return n, err
}

// Write writes. After that the connection cannot be handed over.
func (v *visitor) Write(p []byte) (int, error) {
	if !v.claim() {
		return len(p), nil // to nobody
	}
	return v.Conn.Write(p)
}

// claim makes sure that the connection stays the lobby's.
func (v *visitor) claim() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.answered = !v.handed
	return v.answered
}

// Close closes the connection.
func (v *visitor) Close() error {
	v.gone(v)
	if !v.claim() {
		return nil
	}
	return v.Conn.Close()
}

// CloseWrite tells the client that nothing follows. The server does so before it
// closes, so that what the client has sent in vain does not cost it the answer.
func (v *visitor) CloseWrite() error {
	if !v.claim() {
		return nil
	}
	return v.tcp.CloseWrite()
}

// SetReadDeadline limits how long a Read waits.
func (v *visitor) SetReadDeadline(t time.Time) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.handed {
		return nil // the one that ends the waiting counts
	}
	return v.Conn.SetReadDeadline(t)
}

// SetDeadline limits how long a Read or a Write waits.
func (v *visitor) SetDeadline(t time.Time) error {
	return errors.Join(v.SetReadDeadline(t), v.SetWriteDeadline(t))
}

// Guest is a connection that somebody else has to answer.
type Guest struct {
	// File is the connection.
	File *os.File
	// Read is what was read of it already.
	Read []byte
}
