package bridge

import (
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"

	"github.com/drengskapur/fastmcp-runner/internal/bridge/jsonrpc"
)

// maxSpares bounds the servers that have nothing to do.
const maxSpares = 4

// exchanges are those that wait for their clients, by the state that the
// client has to bring back, and the servers that have nothing to do.
type exchanges struct {
	mu     sync.Mutex
	parked map[string]*exchange
	spares []spare
}

// spare is a server that waits for its next exchange.
type spare struct {
	key     fingerprint // what it knows of its clients
	session *session
	last    uint64 // the last id that it knows
}

// park keeps an exchange until its client comes back, and returns the state
// that it has to bring.
func (e *exchanges) park(x *exchange) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.parked == nil {
		e.parked = map[string]*exchange{}
	}
	state := rand.Text()
	e.parked[state] = x
	return state
}

// unpark returns the exchange that a state belongs to, once. A state that comes
// with another request is refused, and stays good for its own: nobody may have
// looked at what that other one asks for.
func (e *exchanges) unpark(state string, print fingerprint) (*exchange, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	x := e.parked[state]
	switch {
	case x == nil:
		return nil, &fault{code: jsonrpc.CodeInvalidParams, text: "the requestState is not known, too old, or was used before: begin anew without it"}
	case x.print != print:
		return nil, &fault{code: jsonrpc.CodeInvalidParams, text: "the requestState is of another request: repeat that one with the same parameters"}
	}
	delete(e.parked, state)
	return x, nil
}

// fingerprint stands for texts of any length.
type fingerprint [sha256.Size]byte

func fingerprintOf(texts ...[]byte) fingerprint {
	h := sha256.New()
	for _, text := range texts {
		h.Write(fmt.Appendf(nil, "%d ", len(text)))
		h.Write(text)
	}
	return fingerprint(h.Sum(nil))
}

// fingerprint returns what a request of which a server may ask back has in
// common with its repetition: its method, what it names, and its arguments as
// they are written, which is all that it asks for.
func (m *modernRequest) fingerprint() fingerprint {
	return fingerprintOf([]byte(m.Method), []byte(m.name), m.Bytes(m.arguments))
}

// acquaintance returns what a server knows of the client of a request, and
// whose that client is, which it does not know.
func (m *modernRequest) acquaintance() fingerprint {
	return fingerprintOf(m.from[:], m.Bytes(m.capabilities), m.Bytes(m.client), []byte(m.logLevel))
}

// drop forgets a server that ends.
func (e *exchanges) drop(s *session) {
	e.mu.Lock()
	defer e.mu.Unlock()
	maps.DeleteFunc(e.parked, func(_ string, x *exchange) bool { return x.session == s })
	e.spares = slices.DeleteFunc(e.spares, func(other spare) bool { return other.session == s })
}

// keep keeps the server of an exchange that is over for another one, and ends
// the oldest that is kept if there are too many.
func (e *exchanges) keep(x *exchange, end func(*session)) {
	number, err := strconv.ParseUint(x.number, 10, 64)
	if err != nil || x.session.over() {
		return
	}
	e.mu.Lock()
	e.spares = append(e.spares, spare{x.key, x.session, number})
	var surplus []spare
	if n := len(e.spares) - maxSpares; n > 0 {
		surplus = slices.Clone(e.spares[:n])
		e.spares = slices.Delete(e.spares, 0, n)
	}
	e.mu.Unlock()
	for _, s := range surplus {
		end(s.session)
	}
}

// takeSpare returns a server that knows such a client, or, for no key, the
// oldest.
func (e *exchanges) takeSpare(key fingerprint) (spare, bool) {
	for {
		s, ok := e.popSpare(key)
		// Asked without our lock: a session takes it while it holds its own.
		if !ok || !s.session.over() {
			return s, ok
		}
	}
}

func (e *exchanges) popSpare(key fingerprint) (spare, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	i := slices.IndexFunc(e.spares, func(s spare) bool { return key == fingerprint{} || s.key == key })
	if i < 0 {
		return spare{}, false
	}
	s := e.spares[i]
	e.spares = slices.Delete(e.spares, i, i+1)
	return s, true
}
