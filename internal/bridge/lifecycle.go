package bridge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/drengskapur/fastmcp-runner/internal/bridge/child"
	"github.com/drengskapur/fastmcp-runner/internal/bridge/jsonrpc"
)

// keepEvents bounds how many events each session keeps for clients that resume.
const keepEvents = 1024

// ErrFull says that there is no place for another session.
var ErrFull = errors.New("there are as many sessions as there may be")

// Why sessions end, or do not begin.
var (
	errDown    = errors.New("the bridge is shutting down")
	errUnknown = errors.New("there is no such session")
	errDeleted = errors.New("the client has ended the session")
	errGone    = errors.New("the client has gone")
	errIdle    = errors.New("the client was idle for too long")
	errRefused = errors.New("the server has refused to begin the session")
	errCrashed = errors.New("the server has ended")
	errUnused  = errors.New("another session needs its place")
)

// backoffError says that no start is tried now, because the last ones failed.
type backoffError struct {
	wait time.Duration
	err  error
}

func (e *backoffError) Error() string {
	return fmt.Sprintf("the server does not start, the next try is in %s: %v", e.wait.Round(time.Second), e.err)
}

// enlist returns the session with an id, or makes one and says so: then the
// caller must launch it. If there is no place for it, a server that has
// nothing to do gives up its own.
func (b *Bridge) enlist(id string) (s *session, made bool, err error) {
	for {
		s, made, err = b.tryEnlist(id)
		if !errors.Is(err, ErrFull) {
			return s, made, err
		}
		unused, ok := b.takeUnused()
		if !ok {
			return nil, false, ErrFull
		}
		b.end(unused, errUnused, true)
	}
}

// takeUnused returns a server that has nothing to do and is nobody's session.
func (b *Bridge) takeUnused() (*session, bool) {
	if s, ok := b.exchanges.takeSpare(fingerprint{}); ok {
		return s.session, true
	}
	return b.lanes.takeUnused()
}

func (b *Bridge) tryEnlist(id string) (s *session, made bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if s := b.sessions[id]; s != nil {
		return s, false, nil
	}
	if b.down {
		return nil, false, errDown
	}
	if wait, err := b.backoff.wait(); wait > 0 {
		return nil, false, &backoffError{wait, err}
	}
	if len(b.sessions) >= b.opts.Sessions {
		return nil, false, ErrFull
	}
	b.numbers++
	s = &session{
		id: id, number: b.numbers, log: b.opts.Log.With("session", b.numbers),
		box: newOutbox(&b.opts), seen: time.Now(), ready: make(chan struct{}),
		tasks: &b.tasks, stats: b.stats, mask: b.opts.Mask, transit: b.transit,
	}
	b.sessions[id] = s
	b.rest.end()
	b.tasks.Add(1) // done when nothing is left of the session
	return s, true, nil
}

// launch starts the child of a session when its turn has come, unless the
// context ends before. If that fails there is no session.
func (b *Bridge) launch(ctx context.Context, s *session) error {
	p, err := b.startServer(ctx, s)
	if err != nil {
		b.abandon(s, err)
		return err
	}
	ended := s.adopt(p)
	go b.watch(s, p, time.Now())
	if ended != nil {
		b.tasks.Go(func() { p.Stop(b.opts.Grace) })
		return ended
	}
	s.log.Info("Session opened", "pid", p.PID())
	return nil
}

// abandon ends a session that has no server.
func (b *Bridge) abandon(s *session, err error) {
	s.close(err)
	b.unlist(s, false)
	s.finish(err)
	b.tasks.Done()
}

// startServer returns a server for a session.
func (b *Bridge) startServer(ctx context.Context, s *session) (server, error) {
	if b.sharesServer(s) {
		return b.share(ctx, s)
	}
	return b.startChild(ctx, owner{receive: s.receive, lost: s.lost, over: s.why, rank: s.rank, log: s.log})
}

// sharesServer says whether a session has its server together with others.
func (b *Bridge) sharesServer(s *session) bool { return b.opts.Shared && s.hook == nil }

// owner is whom a child is started for.
type owner struct {
	receive func(jsonrpc.Message)
	lost    func(string, error)
	over    func() error // why it needs no child any more
	rank    rank
	log     *slog.Logger
}

// startChild starts a child when its turn has come. The start goes on until
// the child has answered, or ended, or its time is up.
func (b *Bridge) startChild(ctx context.Context, o owner) (*child.Process, error) {
	t, err := b.gate.join(o.rank)
	if err != nil {
		return nil, err
	}
	if err := b.awaitTurn(ctx, t, o); err != nil {
		t.leave(false)
		return nil, err
	}
	p, err := b.fork(o, t)
	if err != nil {
		t.leave(false)
		b.backoff.failed(err)
		return nil, err
	}
	b.stats.starts.Add(1)
	b.tasks.Go(func() { t.limit(p.Exited(), b.opts.Start) })
	return p, nil
}

// awaitTurn waits until a child may be started, and says why not: much may
// have come to pass.
func (b *Bridge) awaitTurn(ctx context.Context, t *turn, o owner) error {
	if err := t.wait(ctx, b.closing); err != nil {
		return err
	}
	if wait, err := b.backoff.wait(); wait > 0 {
		return &backoffError{wait, err}
	}
	return o.over()
}

// fork starts a child whose first answer ends its start.
func (b *Bridge) fork(o owner, t *turn) (*child.Process, error) {
	b.mu.Lock()
	nursery := b.openNursery()
	b.mu.Unlock()
	answered := false
	return nursery.Start(child.Options{
		Command: b.opts.Command, Lost: o.lost, MaxLine: b.opts.MaxLine, Mask: b.opts.Mask, Log: o.log,
		Receive: func(m jsonrpc.Message) {
			if !answered && m.Kind == jsonrpc.Response {
				answered = true
				t.leave(true)
			}
			o.receive(m)
		},
	})
}

// watch waits for the end of a session's server and cleans up after it.
func (b *Bridge) watch(s *session, p server, began time.Time) {
	defer b.tasks.Done()
	<-p.Exited()
	_, crashed := s.close(errCrashed)
	if crashed {
		b.unlist(s, true) // no request comes between the crash and the last words
	}
	<-p.Done()
	b.judge(s, began, crashed, p.Err())
	if crashed {
		if !b.sharesServer(s) {
			b.stats.crashes.Add(1)
		}
		s.log.Warn("Session ended by itself", "reason", p.Err())
	}
	s.finish(p.Err())
}

// youth is how old a server must get to have started well.
const youth = 5 * time.Second

// judge notes whether a child has started well.
func (b *Bridge) judge(s *session, began time.Time, crashed bool, err error) {
	begun, proved, busy, _ := s.progress()
	switch {
	case crashed && (!begun || !busy && !proved && time.Since(began) < youth):
		b.backoff.failed(err)
	case proved || begun && !crashed:
		b.backoff.succeeded()
	}
}

// end ends a session and its child, and does not wait for that. Forever means
// that not even a signed id opens it again.
func (b *Bridge) end(s *session, why error, forever bool) {
	p, first := s.close(why)
	if !first {
		return
	}
	s.log.Info("Session ended", "reason", why)
	b.unlist(s, forever)
	if !errors.Is(why, errDown) { // then, the servers may still finish what they do
		s.finish(why)
	}
	if p != nil {
		b.tasks.Go(func() { p.Stop(b.opts.Grace) })
	}
}

// unlist takes a session off the list.
func (b *Bridge) unlist(s *session, forever bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.sessions[s.id] == s {
		delete(b.sessions, s.id)
		if len(b.sessions) == 0 && !b.down {
			b.rest.begin()
		}
	}
	if _, signed := b.signer.open(s.id); signed && forever {
		b.gone.add(s.id)
	}
}

// lookup returns the session with an id. A session that is not on the list,
// but whose id is signed, is opened anew.
func (b *Bridge) lookup(ctx context.Context, id string) (*session, error) {
	b.mu.Lock()
	s, gone := b.sessions[id], b.gone.has(id)
	b.mu.Unlock()
	if s == nil {
		carried, ok := b.signer.open(id)
		if !ok || gone || b.isStale(carried, time.Now()) {
			return nil, errUnknown
		}
		var made bool
		var err error
		if s, made, err = b.enlist(id); err != nil {
			return nil, err
		}
		if made {
			b.revive(ctx, s, carried.params)
		}
	}
	select {
	case <-s.ready:
	case <-ctx.Done():
		return nil, errGone
	}
	if errors.Is(s.failed, errNoTurn) && ctx.Err() == nil {
		return b.lookup(ctx, id) // another request had it revived, and gave up
	}
	if s.failed != nil {
		return nil, s.failed
	}
	s.touch()
	return s, nil
}

// revive opens a session anew. Its client does not hear of it, but the
// operator does: what the server remembered of the session is lost.
func (b *Bridge) revive(ctx context.Context, s *session, params []byte) {
	s.log.Warn("A session of an earlier start comes back: its server begins anew and remembers nothing")
	defer close(s.ready)
	if s.failed = b.launch(ctx, s); s.failed != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), b.opts.Start)
	defer cancel()
	if _, err := s.introduce(ctx, params); err != nil {
		s.failed = fmt.Errorf("%w: %w", errUnknown, err)
		b.end(s, err, false)
		return
	}
	s.guardIdle(b.opts.Idle, func() { b.end(s, errIdle, false) })
}

// introduction is the id of our own initialize request.
const introduction = `"fastmcp-runner initialize"`

// introduce begins the session with a server in the place of the client, and
// returns the answer of the server.
func (s *session) introduce(ctx context.Context, params []byte) (jsonrpc.Message, error) {
	answer, err := s.ask(ctx, jsonrpc.Call([]byte(introduction), "initialize", params))
	if err != nil {
		return answer, err
	}
	if answer.Result.Absent() {
		return answer, fmt.Errorf("%w: %s", errRefused, s.excerpt(answer.Bytes(answer.Error)))
	}
	return answer, s.server.Send(ctx, jsonrpc.Call(nil, "notifications/initialized", nil))
}

// ask sends a request of ours and returns the answer.
func (s *session) ask(ctx context.Context, request []byte) (jsonrpc.Message, error) {
	m, err := jsonrpc.Parse(request)
	if err != nil {
		return jsonrpc.Message{}, err
	}
	answer := make(chan jsonrpc.Message, 1)
	c := newCall(&m, nil)
	c.answered = func(m jsonrpc.Message) { answer <- m }
	s.box.mu.Lock()
	s.calls = append(s.calls, c)
	s.box.mu.Unlock()
	if err := s.forward(ctx, []jsonrpc.Message{m}); err != nil {
		return jsonrpc.Message{}, err
	}
	select {
	case m := <-answer:
		return m, nil
	case <-ctx.Done():
		return jsonrpc.Message{}, errSlow
	}
}

// excerpt returns what people may read of what the server has said.
func (s *session) excerpt(said []byte) string { return child.Excerpt(said, s.mask) }

// errSlow says that the server does not answer.
var errSlow = errors.New("the server did not answer in time")

// over says whether the session has ended.
func (s *session) over() bool { return s.why() != nil }

// why returns why the session has ended; nil if it has not.
func (s *session) why() error {
	s.box.mu.Lock()
	defer s.box.mu.Unlock()
	return s.ended
}

// begin notes that the session has begun without initialize.
func (s *session) begin(version string) {
	s.box.mu.Lock()
	defer s.box.mu.Unlock()
	s.begun, s.version, s.proved = true, version, true
}

// kill ends the server of a session at once.
func (s *session) kill() {
	s.box.mu.Lock()
	p := s.server
	s.box.mu.Unlock()
	if p != nil {
		p.Stop(0)
	}
}
