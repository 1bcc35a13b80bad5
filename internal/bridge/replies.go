package bridge

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/drengskapur/fastmcp-runner/internal/bridge/jsonrpc"
)

// maxReplies bounds the answers of ours that wait for a server to read them.
const maxReplies = 64

// replies are those answers. Whoever reads what the server writes must not wait
// for it to read them: it may read nothing until it has written all.
type replies struct{ waiting atomic.Int32 }

// send sends an answer, as a task, unless too many wait already.
func (r *replies) send(tasks *sync.WaitGroup, log *slog.Logger, answer func(context.Context) error) {
	if r.waiting.Add(1) > maxReplies {
		r.waiting.Add(-1)
		log.Debug("Left a request of the server without an answer: it reads none")
		return
	}
	tasks.Go(func() {
		defer r.waiting.Add(-1)
		ctx, cancel := context.WithTimeout(context.Background(), probeTime)
		defer cancel()
		if err := answer(ctx); err != nil {
			log.Debug("Cannot answer the server", "err", err)
		}
	})
}

// decline answers a request of a server that no client can be asked.
func (s *session) decline(m jsonrpc.Message) { s.reply(declined(&m)) }

func declined(m *jsonrpc.Message) []byte {
	if m.Method == "ping" {
		return jsonrpc.Result(m.Bytes(m.ID), []byte("{}"))
	}
	return jsonrpc.Failure(m.Bytes(m.ID), jsonrpc.CodeMethodNotFound, "no client can be asked", nil)
}

// reply sends an answer of ours to the server.
func (s *session) reply(answer []byte) {
	s.replies.send(s.tasks, s.log, func(ctx context.Context) error {
		<-s.ready // the server may ask before we know it
		s.box.mu.Lock()
		p := s.server
		s.box.mu.Unlock()
		return p.Send(ctx, answer)
	})
}
