package front

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/drengskapur/fastmcp-runner/internal/bridge"
	"github.com/drengskapur/fastmcp-runner/internal/bridge/child"
	"github.com/drengskapur/fastmcp-runner/internal/page"
)

const (
	// failPause is the least time between two tries, and lookPause how often
	// a server that has answered is looked at.
	failPause = time.Second
	lookPause = 5 * time.Second
)

// prober asks the server what it is: at the start until it answers, and again
// while it is in a crash loop, so that this ends when the server has recovered,
// and not with the next client.
type prober struct {
	bridge *bridge.Bridge
	image  string
	log    *slog.Logger

	mu     sync.Mutex
	proven bool         // the server has answered
	server *page.Server // what it has answered
	err    error        // why it has not, the last time
}

// run asks until the context ends.
func (p *prober) run(ctx context.Context) {
	for ctx.Err() == nil {
		pause := lookPause
		if p.found() == nil || p.bridge.Health().Failing {
			pause = p.ask(ctx)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
}

// ask asks once, and returns when to look again.
func (p *prober) ask(ctx context.Context) time.Duration {
	begin := time.Now()
	server, err := p.bridge.Probe(ctx)
	if ctx.Err() != nil {
		return 0
	}
	first := p.note(server, err)
	switch wait := p.bridge.Health().RetryAfter; {
	case err == nil && first:
		p.log.Info("The server answers", "name", server.Name, "version", server.Version, "revision", server.Revision,
			"tools", len(server.Tools), "took", time.Since(begin).Round(time.Millisecond).String())
		if server.Untold != nil {
			p.log.Warn("The server does not list its tools", "reason", server.Untold)
		}
		return lookPause
	case err == nil, errors.Is(err, bridge.ErrFull):
		return lookPause
	default:
		wait = max(wait, failPause)
		p.log.Warn("The server does not start", "reason", brief(err), "next_try", wait.Round(time.Second).String())
		return wait
	}
}

// brief leaves out the server's last words, which are in the log already.
func brief(err error) string {
	if exit, ok := errors.AsType[*child.ExitError](err); ok {
		return "the server " + exit.How
	}
	return err.Error()
}

// note keeps what came out of a probe, and says whether it is the first answer.
// Where all places are taken, the server has answered somebody else.
func (p *prober) note(server *bridge.Server, err error) (first bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	full := errors.Is(err, bridge.ErrFull)
	first = p.server == nil && err == nil
	p.proven = p.proven || err == nil || full
	if p.err = err; full {
		p.err = nil
	}
	if err == nil {
		p.server = serverOf(server)
	}
	return first
}

func serverOf(b *bridge.Server) *page.Server {
	s := &page.Server{
		Revision: b.Revision, Name: b.Name, Title: b.Title, Version: b.Version, Instructions: b.Instructions,
		Untold: b.Untold != nil,
	}
	for _, t := range b.Tools {
		s.Tools = append(s.Tools, page.Tool{Name: t.Name, Title: t.Title, Description: t.Description, InputSchema: t.InputSchema})
	}
	return s
}

// found returns what the server has said of itself; nil before that.
func (p *prober) found() *page.Server {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.server
}

// state says how things are.
func (p *prober) state() page.State {
	h := p.bridge.Health()
	p.mu.Lock()
	proven, err := p.proven, p.err
	p.mu.Unlock()
	s := page.State{Status: page.OK, Image: p.image, Sessions: h.Sessions, RetryAfter: h.RetryAfter}
	switch {
	case h.Failing:
		s.Status, s.Reason = page.Failing, reason(h.Err)
	case proven:
	case err != nil:
		s.Status, s.Reason = page.Failing, reason(err)
	default:
		s.Status, s.Phase = page.Starting, page.Launching
	}
	return s
}

// reason says why the server does not start; empty if that is not known.
func reason(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
