package bridge

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/drengskapur/fastmcp-runner/internal/bridge/jsonrpc"
)

const (
	// probeTime is how long a server may take to show that it is modern.
	probeTime = 5 * time.Second
	// laneUnsent is how much may wait for one client of a lane. Others share
	// the server: it does not wait for the slow.
	laneUnsent = 8 << 20
	// maxLaneCalls bounds the requests of all clients that are in flight, of
	// which each subscription is one.
	maxLaneCalls = 4096
)

// errLaneBusy says that the clients together ask too much at once.
var errLaneBusy = fmt.Errorf("more than %d requests are in flight", maxLaneCalls)

// lane is a server that modern clients share. That is what revision
// 2026-07-28 means a process to be: requests have nothing to do with one
// another. Their ids and progress tokens are replaced by ours, since the
// clients do not know of one another. Who shares one, see lanes.
type lane struct {
	session   *session
	exchanges *exchanges
	// legacy says that the server is of an older revision, and that its
	// answers have to be translated.
	legacy bool
	// versions are the revisions that clients may speak.
	versions []string
	// hello is the answer to initialize of a legacy server.
	hello jsonrpc.Message
	// mirrors are the arguments that headers repeat.
	mirrors mirrors

	// The rest is guarded by the lock of the session's box.

	last      uint64
	calls     []*laneCall
	listeners []*listener
}

// laneCall is a request on a lane.
type laneCall struct {
	*call
	reader    *reader
	number    string // the id that the server knows
	id, token []byte // those that the client knows
	logs      bool   // the client wants log messages
}

// openLane starts a server and finds out its era. To an older one it says
// hello.
func (b *Bridge) openLane(ctx context.Context, known era, hello []byte) (*lane, error) {
	l := &lane{exchanges: &b.exchanges}
	s, err := b.openHidden(ctx, inOrder, l.receive)
	if err != nil {
		return nil, err
	}
	l.session = s
	// Not with the time of this client: others wait for the lane as well.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), b.opts.Start)
	defer cancel()
	if err := l.meet(ctx, known, hello); err != nil {
		b.end(s, err, true)
		return nil, err
	}
	s.guardIdle(b.opts.Idle, func() { b.end(s, errIdle, true) })
	return l, nil
}

// openHidden opens a session that no client knows of. The context is for as
// long as it waits for its turn.
func (b *Bridge) openHidden(ctx context.Context, as rank, receive func(*session, jsonrpc.Message)) (*session, error) {
	s, _, err := b.enlist(rand.Text())
	if err != nil {
		return nil, err
	}
	s.hook, s.rank = receive, as
	s.box.keepBytes, s.box.keepEvents = 0, 0
	s.failed = b.launch(ctx, s)
	close(s.ready)
	return s, s.failed
}

// modernMeta is the _meta of our own requests.
const modernMeta = `{"_meta":{"` + metaVersion + `":"` + versionModern + `","` + metaCapabilities +
	`":{},"` + metaClient + `":` + bridgeInfo + `}}`

// bridgeInfo is what we call ourselves.
const bridgeInfo = `{"name":"fastmcp-runner","version":"1"}`

// legacyHello is what we introduce ourselves with to a legacy server. We can
// do nothing that a server could ask of a client.
const legacyHello = `{"protocolVersion":"` + versionPriming + `","capabilities":{},"clientInfo":` + bridgeInfo + `}`

// helloOf returns the parameters of initialize of a modern client.
func helloOf(capabilities, client json.RawMessage) []byte {
	return jsonrpc.Encode(struct {
		Version      string          `json:"protocolVersion"`
		Capabilities json.RawMessage `json:"capabilities"`
		Client       json.RawMessage `json:"clientInfo"`
	}{versionPriming, capabilities, client})
}

// clientInfo returns what a client says that it is, which it need not.
func clientInfo(m *modernRequest) json.RawMessage {
	if client := m.Bytes(m.client); client != nil {
		return client
	}
	return json.RawMessage(`{"name":"unknown","version":"0"}`)
}

// meet finds out the era of the server and begins with it. Anything but a
// modern answer shows a legacy server (basic/transports/stdio).
func (l *lane) meet(ctx context.Context, known era, params []byte) error {
	if known != eraLegacy {
		probing, cancel := context.WithTimeout(ctx, probeTime)
		answer, err := l.session.ask(probing, jsonrpc.Call([]byte(`"fastmcp-runner discover"`), "server/discover", []byte(modernMeta)))
		cancel()
		if versions, ok := supportedVersions(&answer); err == nil && ok {
			l.versions = versions
			l.session.begin(versionModern)
			return nil
		}
		if l.session.over() {
			return l.session.why()
		}
	}
	hello, err := l.session.introduce(ctx, params)
	if err != nil {
		return err
	}
	// The server may have sent something already, see receive.
	l.session.box.mu.Lock()
	defer l.session.box.mu.Unlock()
	l.legacy, l.hello = true, hello
	l.versions = []string{versionModern, versionPriming, "2025-06-18", versionBatches}
	return nil
}

// supportedVersions reads the answer to server/discover, if it is a modern one.
func supportedVersions(answer *jsonrpc.Message) (versions []string, ok bool) {
	list := answer.Field(answer.Result, "supportedVersions")
	if string(answer.Bytes(answer.Field(answer.Error, "code"))) == strconv.Itoa(codeUnsupportedVersion) {
		list = answer.Field(answer.Field(answer.Error, "data"), "supported")
	}
	for _, at := range answer.Elements(list) {
		versions = append(versions, answer.Text(at))
	}
	return versions, len(versions) > 0
}

// open registers a request.
func (l *lane) open(m *modernRequest, adapt func(jsonrpc.Message) jsonrpc.Message) (*laneCall, error) {
	s := l.session
	s.box.mu.Lock()
	defer s.box.mu.Unlock()
	switch {
	case s.ended != nil:
		return nil, s.ended
	case len(l.calls) >= maxLaneCalls:
		return nil, errLaneBusy
	}
	l.last++
	number := strconv.FormatUint(l.last, 10)
	c := &laneCall{
		call:   &call{key: number, token: number, method: m.Method, stream: s.box.newStream(1), began: time.Now()},
		number: number, id: bytes.Clone(m.Bytes(m.ID)), token: bytes.Clone(m.Bytes(m.Token)), logs: m.logLevel != "",
	}
	c.call.id = c.id
	c.reader = c.stream.attach(0)
	c.answered = func(answer jsonrpc.Message) {
		l.forget(c)
		if c.method == "subscriptions/listen" && errors.Is(s.ended, errDown) {
			answer = farewell(&answer)
		}
		if adapt != nil {
			answer = adapt(answer)
		}
		c.stream.add(c.restore(answer).Raw, true)
	}
	s.calls = append(s.calls, c.call)
	l.calls = append(l.calls, c)
	return c, nil
}

// tell sends requests of ours about resources, whose answers change nothing.
func (l *lane) tell(ctx context.Context, method string, uris []string) {
	for _, uri := range uris {
		l.session.box.mu.Lock()
		l.last++
		number := strconv.FormatUint(l.last, 10)
		l.session.box.mu.Unlock()
		request := jsonrpc.Call([]byte(number), method, jsonrpc.Encode(map[string]string{"uri": uri}))
		if err := l.session.server.Send(ctx, request); err != nil {
			l.session.log.Debug("Cannot tell the server what clients listen to", "err", err)
		}
	}
}

// send sends a request under the id that the server knows.
func (l *lane) send(ctx context.Context, c *laneCall, m *modernRequest) error {
	number := []byte(c.number)
	sent := m.With(jsonrpc.Edit{At: m.ID, With: number}, jsonrpc.Edit{At: m.Token, With: number})
	return l.session.forward(ctx, []jsonrpc.Message{sent})
}

// farewell returns how a subscription ends that its server has to end
// (basic/patterns/subscriptions, Graceful Closure).
func farewell(answer *jsonrpc.Message) jsonrpc.Message {
	id := answer.Bytes(answer.ID)
	return parsed(jsonrpc.Result(id, fmt.Appendf(nil, `{"resultType":"complete","_meta":{%q:%s}}`, jsonrpc.SubscriptionKey, id)))
}

// restore puts back what the client knows.
func (c *laneCall) restore(m jsonrpc.Message) jsonrpc.Message {
	edits := []jsonrpc.Edit{{At: m.Subscription, With: c.id}, {At: m.Cancels, With: c.id}}
	if m.Kind == jsonrpc.Response {
		edits = append(edits, jsonrpc.Edit{At: m.ID, With: c.id})
	} else {
		edits = append(edits, jsonrpc.Edit{At: m.Token, With: c.token})
	}
	return m.With(edits...)
}

// receive takes what the server sends by itself to the client that it is for,
// or to nobody if that is not clear: the clients may be strangers to one
// another. The lock is held.
func (l *lane) receive(s *session, m jsonrpc.Message) {
	if m.Kind == jsonrpc.Request {
		if s.version != versionModern { // which has no requests of servers, and no answers to them
			s.decline(m)
		}
		return
	}
	if l.legacy && l.notifyListeners(m) {
		return
	}
	c := l.callOf(&m)
	if c == nil || (!m.Token.Absent() && c.token == nil) {
		s.log.Debug("Dropped a message of the server: it is for nobody", "method", m.Method)
		return
	}
	if c.stream.waiting() > laneUnsent {
		s.log.Warn("Cut off a client that does not read", "method", c.method)
		c.stream.detach(c.reader) // it cancels the request
		return
	}
	c.stream.add(c.restore(m).Raw, false)
	if m.Method == "notifications/cancelled" { // the server ends a subscription
		l.forget(c)
		s.forget(c.call, succeeded)
		c.stream.end()
	}
}

// callOf returns the request that a notification belongs to.
func (l *lane) callOf(m *jsonrpc.Message) *laneCall {
	for _, at := range []jsonrpc.Span{m.Token, m.Subscription, m.Cancels} {
		if key := m.Key(at); key != "" {
			return l.find(func(c *laneCall) bool { return c.number == key })
		}
	}
	if m.Method != "notifications/message" {
		return nil
	}
	// Log messages name no request. If only one has asked for some, it is
	// that one; otherwise nobody gets them, which the specification allows.
	wanted := func(c *laneCall) bool { return c.logs }
	c := l.find(wanted)
	if c == nil || l.find(func(other *laneCall) bool { return wanted(other) && other != c }) != nil {
		return nil
	}
	return c
}

func (l *lane) find(is func(*laneCall) bool) *laneCall {
	if i := slices.IndexFunc(l.calls, is); i >= 0 {
		return l.calls[i]
	}
	return nil
}

func (l *lane) forget(c *laneCall) {
	l.calls = slices.DeleteFunc(l.calls, func(other *laneCall) bool { return other == c })
}

// cancel tells the server that a client has given up a request.
func (l *lane) cancel(c *laneCall) {
	s := l.session
	s.box.mu.Lock()
	inFlight := slices.Contains(l.calls, c)
	l.forget(c)
	s.forget(c.call, cancelled)
	s.box.mu.Unlock()
	if !inFlight {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), probeTime)
	defer cancel()
	notice := jsonrpc.Call(nil, "notifications/cancelled", fmt.Appendf(nil, `{"requestId":%s,"reason":"the client has gone"}`, c.number))
	if err := s.server.Send(ctx, notice); err != nil && !errors.Is(err, s.why()) {
		s.log.Debug("Cannot cancel a request", "err", err)
	}
}
