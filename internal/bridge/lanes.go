package bridge

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/drengskapur/fastmcp-runner/internal/bridge/jsonrpc"
)

// principal is who makes a request, as far as its credentials and the browser
// tell. It keeps apart and proves nothing: that a request has the right token
// is for the guard to say.
type principal fingerprint

// principalOf returns who makes a request.
func principalOf(r *http.Request) principal {
	credentials := strings.Join(r.Header.Values("Authorization"), ",")
	return principal(fingerprintOf([]byte(credentials), []byte(r.Header.Get("Origin"))))
}

// lanes are the servers of stateless clients. A server of revision 2026-07-28
// is one lane for all of them. An older one takes whoever it talks to for one
// client, and may keep something of it: there is a lane for each circle of
// clients that cannot be told apart.
type lanes struct {
	// unknown is held while a server is asked for its era.
	unknown sync.Mutex
	// told is done when the log has said that clients share a server.
	told sync.Once

	mu sync.Mutex
	// era is what earlier lanes have shown.
	era    era
	berths map[fingerprint]*berth // by circle; of one lane for all, by none
}

// berth is the place of a lane.
type berth struct {
	// opening is held while its server is started. The lane is for those who
	// are at the berth.
	opening sync.Mutex
	lane    *lane

	// The rest is guarded by the lock of the lanes.

	users int       // requests that are at it
	left  time.Time // when the last one left
}

type era int

const (
	eraUnknown era = iota
	eraModern
	eraLegacy
)

// circle stands for the clients that share a lane of an older server with the
// one of a request. If the operator has all share, that they are able to the
// same is enough: a server can be told of one client only.
func (b *Bridge) circle(m *modernRequest) fingerprint {
	if b.opts.Shared {
		return fingerprintOf(m.Bytes(m.capabilities))
	}
	return fingerprintOf(m.from[:], m.Bytes(m.capabilities), m.Bytes(m.client))
}

// lane returns the lane for a request, and opens it if there is none. The
// caller calls leave when the request does not need it any more.
func (b *Bridge) lane(ctx context.Context, m *modernRequest) (l *lane, leave func(), err error) {
	known := b.lanes.awaitEra()
	defer known()
	circle := b.circle(m)
	at, era := b.lanes.enter(circle)
	leave = sync.OnceFunc(func() { b.lanes.leave(at) })
	at.opening.Lock()
	defer at.opening.Unlock()
	if ctx.Err() != nil { // gone while others had it opened
		leave()
		return nil, nil, errGone
	}
	if at.lane != nil && !at.lane.session.over() {
		at.lane.session.touch()
		b.tellShared(at.lane.legacy)
		return at.lane, leave, nil
	}
	if at.lane, err = b.newLane(ctx, era, m); err != nil {
		leave()
		return nil, nil, err
	}
	b.lanes.settle(circle, at)
	return at.lane, leave, nil
}

// newLane opens a lane.
func (b *Bridge) newLane(ctx context.Context, known era, m *modernRequest) (*lane, error) {
	hello := b.laneHello(m)
	l, err := b.openLane(ctx, known, hello)
	if err != nil && known == eraUnknown && mayBeOlder(err) {
		// A legacy server may end when it is asked something before initialize.
		return b.openLane(ctx, eraLegacy, hello)
	}
	return l, err
}

// mayBeOlder says whether a server may have ended because it is an older one.
func mayBeOlder(err error) bool {
	return !errors.Is(err, errSlow) && !errors.Is(err, errNoTurn) && judgeRefusal(err).wait == 0
}

// laneHello returns the parameters of initialize for the lane of a client: all
// that it declares, but for the questions that an older server could ask of
// it. Those it gets in exchanges. A client of a circle that is open to others
// is not named.
func (b *Bridge) laneHello(m *modernRequest) []byte {
	client := clientInfo(m)
	if b.opts.Shared {
		client = json.RawMessage(bridgeInfo)
	}
	capabilities := m.capabilities
	able := []byte("{")
	for name, value := range m.Members(capabilities) {
		if isQuestion(name) {
			continue
		}
		if len(able) > 1 {
			able = append(able, ',')
		}
		able = append(append(append(able, jsonrpc.Encode(name)...), ':'), m.Bytes(value)...)
	}
	return helloOf(append(able, '}'), client)
}

// isQuestion says whether a capability lets a server ask the client, or is
// about such questions only.
func isQuestion(capability string) bool {
	if capability == "tasks" { // which are those that questions become
		return true
	}
	for _, needed := range questions() {
		if needed == capability {
			return true
		}
	}
	return false
}

// tellShared says, once, that stateless clients share a server.
func (b *Bridge) tellShared(legacy bool) {
	b.lanes.told.Do(func() {
		between := "all of them, as revision 2026-07-28 has it"
		switch {
		case legacy && b.opts.Shared:
			between = "those with the same capabilities, by RUNNER_BRIDGE_SHARED"
		case legacy:
			between = "those that cannot be told apart: of one token, origin, clientInfo and capabilities"
		}
		b.opts.Log.Info("Stateless clients share a process of the server", "between", between)
	})
}

// awaitEra returns when the era is known, or if the caller is to find it out.
// Others go on when the caller has released it.
func (ls *lanes) awaitEra() (release func()) {
	ls.unknown.Lock()
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if ls.era == eraUnknown {
		return ls.unknown.Unlock
	}
	ls.unknown.Unlock()
	return func() {}
}

// enter returns the berth of a circle, and what is known of the era. It
// forgets berths whose lanes have ended.
func (ls *lanes) enter(circle fingerprint) (*berth, era) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if ls.era == eraModern {
		circle = fingerprint{}
	}
	maps.DeleteFunc(ls.berths, func(_ fingerprint, at *berth) bool {
		return at.users == 0 && (at.lane == nil || at.lane.session.over())
	})
	at := ls.berths[circle]
	if at == nil {
		at = &berth{}
		if ls.berths == nil {
			ls.berths = map[fingerprint]*berth{}
		}
		ls.berths[circle] = at
	}
	at.users++
	return at, ls.era
}

// settle notes the era that a lane has shown. One for all is all circles'.
func (ls *lanes) settle(circle fingerprint, at *berth) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	ls.era = eraLegacy
	if !at.lane.legacy {
		ls.era = eraModern
		delete(ls.berths, circle)
		ls.berths[fingerprint{}] = at
	}
}

func (ls *lanes) leave(at *berth) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	at.users--
	at.left = time.Now()
}

// takeUnused takes the lane that nobody has used for the longest time, for
// others to have its place.
func (ls *lanes) takeUnused() (*session, bool) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	var oldest fingerprint
	var unused *berth
	for circle, at := range ls.berths {
		if at.users == 0 && at.lane != nil && !at.lane.session.over() && (unused == nil || at.left.Before(unused.left)) {
			oldest, unused = circle, at
		}
	}
	if unused == nil {
		return nil, false
	}
	delete(ls.berths, oldest)
	return unused.lane.session, true
}
