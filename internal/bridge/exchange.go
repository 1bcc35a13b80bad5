package bridge

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/drengskapur/fastmcp-runner/internal/bridge/jsonrpc"
)

const (
	// gatherTime is how long after a question of a server others are waited
	// for, to be asked together.
	gatherTime = 30 * time.Millisecond
	// parkTime is how long a server waits for its client to come back with
	// answers, and for another client when it has nothing to do.
	parkTime = 5 * time.Minute
)

// exchange is a request of a modern client to a legacy server that may ask
// back. The server has one exchange at a time and was told what this client
// can be asked. When it asks, the client gets the questions as the result of
// its request, and the server waits until the client repeats the request with
// the answers (basic/patterns/mrtr).
type exchange struct {
	session *session
	lane    *lane
	key     fingerprint // of the pool of spares
	method  string
	print   fingerprint
	askable []string // the questions that the client answers

	// The rest is guarded by the lock of the session's box.

	number  string           // the id of the request that the server knows
	round   *round           // nil while nobody waits for the server
	missed  backlog          // what it sent meanwhile
	asked   []question       // those without an answer
	count   int              // of the questions there were
	gather  *time.Timer      // runs out when the questions are sent to the client
	outcome *jsonrpc.Message // an answer that came when nobody waited
	over    bool             // the server has answered
}

// round is one request of the client, of the several that an exchange is.
type round struct {
	id, token []byte
	logs      bool
	stream    *stream
	reader    *reader
	last      bool // the server has answered
}

// question is a request of the server.
type question struct {
	key string
	id  []byte
	raw questionText
}

// questionText is a question as the client gets it. It always has parameters:
// the official Go SDK 1.8 cannot read it without.
type questionText struct {
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
}

// beginExchange serves a request of which the server may ask back.
func (b *Bridge) beginExchange(w http.ResponseWriter, r *http.Request, l *lane, m *modernRequest) error {
	x := &exchange{
		lane: l, method: m.Method, print: m.fingerprint(), askable: m.questions(),
		key: m.acquaintance(),
	}
	last, err := b.engage(r.Context(), x, m)
	if err != nil {
		return err
	}
	x.number = strconv.FormatUint(last+1, 10)
	me := x.newRound(m)
	number := []byte(x.number)
	request := m.With(jsonrpc.Edit{At: m.ID, With: number}, jsonrpc.Edit{At: m.Token, With: number})
	x.register(m.Method)
	if err := x.session.forward(r.Context(), []jsonrpc.Message{request}); err != nil {
		x.session.log.Debug("Cannot reach the server", "err", err)
	}
	b.serveRound(w, r, x, me)
	return nil
}

// engage gives an exchange a server: a spare one that knows such a client, or
// a new one. It returns the last id that the server knows.
func (b *Bridge) engage(ctx context.Context, x *exchange, m *modernRequest) (uint64, error) {
	if s, ok := b.exchanges.takeSpare(x.key); ok {
		x.session = s.session
		x.session.setHook(x.receive)
		x.session.touch()
		b.tellShared(true)
		return s.last, nil
	}
	s, err := b.openHidden(ctx, inOrder, x.receive)
	if err != nil {
		return 0, err
	}
	x.session = s
	s.guardIdle(parkTime, func() {
		b.exchanges.drop(s)
		b.end(s, errIdle, true)
	})
	ctx, cancel := context.WithTimeout(ctx, b.opts.Start)
	defer cancel()
	if err := s.acquaint(ctx, m); err != nil {
		b.end(s, err, true)
		return 0, err
	}
	return 0, nil
}

// acquaint introduces the client to a server.
func (s *session) acquaint(ctx context.Context, m *modernRequest) error {
	hello, err := s.introduce(ctx, helloOf(m.Bytes(m.capabilities), clientInfo(m)))
	logs := !hello.Field(hello.Field(hello.Result, "capabilities"), "logging").Absent()
	if err != nil || m.logLevel == "" || !logs {
		return err
	}
	level := jsonrpc.Encode(map[string]string{"level": m.logLevel})
	// If it refuses, the level is the one that it likes.
	_, err = s.ask(ctx, jsonrpc.Call([]byte(`"fastmcp-runner level"`), "logging/setLevel", level))
	return err
}

// register notes that the request is in flight.
func (x *exchange) register(method string) {
	s := x.session
	s.box.mu.Lock()
	defer s.box.mu.Unlock()
	if s.ended != nil {
		x.answered(failure(x.round.id, s.ended))
		return
	}
	s.calls = append(s.calls, &call{key: x.number, id: []byte(x.number), method: method, began: time.Now(), answered: x.answered})
}

// newRound begins to answer a request of the client.
func (x *exchange) newRound(m *modernRequest) *round {
	s := x.session
	s.box.mu.Lock()
	defer s.box.mu.Unlock()
	x.round = &round{
		id: bytes.Clone(m.Bytes(m.ID)), token: bytes.Clone(m.Bytes(m.Token)), logs: m.logLevel != "",
		stream: s.box.newStream(1),
	}
	x.round.reader = x.round.stream.attach(0)
	for _, m := range x.missed.take() {
		x.tell(m)
	}
	return x.round
}

// serveRound writes what comes back. A client that goes before gives up the
// whole exchange.
func (b *Bridge) serveRound(w http.ResponseWriter, r *http.Request, x *exchange, me *round) {
	out := b.newResponder(w)
	out.status = modernStatus
	delivered := out.serve(r.Context(), me.stream, me.reader)
	x.session.discard(me.stream)
	switch {
	case !delivered:
		b.exchanges.drop(x.session)
		b.end(x.session, errGone, true)
	case x.isLast(me):
		b.exchanges.keep(x, func(s *session) { b.end(s, errUnused, true) })
	}
}

// isLast says whether a round was the last one. Of those before it some may
// still be on their way out.
func (x *exchange) isLast(r *round) bool {
	x.session.box.mu.Lock()
	defer x.session.box.mu.Unlock()
	return r.last
}

// receive takes what the server sends by itself. The lock is held.
func (x *exchange) receive(s *session, m jsonrpc.Message) {
	switch {
	case m.Kind == jsonrpc.Request && slices.Contains(x.askable, m.Method) && !x.over:
		x.ask(m)
	case m.Kind == jsonrpc.Request:
		s.decline(m)
	case x.round != nil:
		x.tell(m)
	case !x.over: // the client is expected back
		x.missed.add(m, s.log)
	}
}

// tell takes a notification to the client, if it asked for such. The lock is
// held.
func (x *exchange) tell(m jsonrpc.Message) {
	switch {
	case !m.Token.Absent() && x.round.token != nil:
		x.round.stream.add(m.With(jsonrpc.Edit{At: m.Token, With: x.round.token}).Raw, false)
	case m.Method == "notifications/message" && x.round.logs:
		x.round.stream.add(m.Raw, false)
	}
}

// ask keeps a question until the client gets it. The lock is held.
func (x *exchange) ask(m jsonrpc.Message) {
	x.count++
	x.asked = append(x.asked, question{
		key: "question-" + strconv.Itoa(x.count), id: m.Bytes(m.ID),
		raw: questionText{m.Method, orEmpty(m.Bytes(m.Params))},
	})
	if x.gather == nil {
		x.gather = time.AfterFunc(gatherTime, x.putQuestions)
	} else {
		x.gather.Reset(gatherTime)
	}
}

// putQuestions answers the request of the client by the questions of the
// server.
func (x *exchange) putQuestions() {
	s := x.session
	s.box.mu.Lock()
	defer s.box.mu.Unlock()
	if x.round == nil || len(x.asked) == 0 || s.ended != nil {
		return
	}
	questions := map[string]questionText{}
	for _, q := range x.asked {
		questions[q.key] = q.raw
	}
	x.round.stream.add(x.inputRequired(questions, x.lane.exchanges.park(x)), true)
	x.round = nil
	s.seen = time.Now()
}

// inputRequired returns the answer that asks the client back. Without a state
// the client begins anew when it has answered.
func (x *exchange) inputRequired(questions map[string]questionText, state string) []byte {
	return jsonrpc.Result(x.round.id, jsonrpc.Encode(struct {
		Type      string                     `json:"resultType"`
		Questions map[string]questionText    `json:"inputRequests"`
		State     string                     `json:"requestState,omitempty"`
		Meta      map[string]json.RawMessage `json:"_meta"`
	}{"input_required", questions, state, map[string]json.RawMessage{metaServer: x.lane.serverInfo()}}))
}

// answered takes the answer of the server to the client. The lock is held.
func (x *exchange) answered(m jsonrpc.Message) {
	x.over = true
	if x.round == nil {
		x.outcome = &m // the client may still come back
		return
	}
	x.round.last = true
	if questions := x.prerequisites(&m); len(questions) > 0 {
		x.round.stream.add(x.inputRequired(questions, ""), true)
	} else {
		m = x.lane.adapt(x.method)(m)
		x.round.stream.add(m.With(jsonrpc.Edit{At: m.ID, With: x.round.id}).Raw, true)
	}
	x.round = nil
}

// resumeExchange serves a request that brings answers to the questions of the
// server.
func (b *Bridge) resumeExchange(w http.ResponseWriter, r *http.Request, m *modernRequest, state string) error {
	x, err := b.exchanges.unpark(state, m.fingerprint())
	if err != nil {
		return err
	}
	x.session.touch()
	me := x.newRound(m)
	x.takeAnswers(m)
	b.serveRound(w, r, x, me)
	return nil
}

// takeAnswers gives the server its answers. When some are missing the client
// is asked again.
func (x *exchange) takeAnswers(m *modernRequest) {
	s := x.session
	s.box.mu.Lock()
	defer s.box.mu.Unlock()
	answers := m.Field(m.Params, "inputResponses")
	x.asked = slices.DeleteFunc(x.asked, func(q question) bool {
		answer := m.Bytes(m.Field(answers, q.key))
		if answer != nil {
			s.reply(jsonrpc.Result(q.id, answer))
		}
		return answer != nil
	})
	switch {
	case x.outcome != nil:
		x.answered(*x.outcome)
	case s.ended != nil:
		x.answered(failure(x.round.id, s.ended))
	case len(x.asked) > 0:
		x.gather.Reset(gatherTime)
	}
}

// setHook sets who gets what the server sends by itself.
func (s *session) setHook(hook func(*session, jsonrpc.Message)) {
	s.box.mu.Lock()
	defer s.box.mu.Unlock()
	s.hook = hook
}
