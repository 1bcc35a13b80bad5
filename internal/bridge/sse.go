package bridge

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/drengskapur/fastmcp-runner/internal/bridge/jsonrpc"
)

// The endpoints of HTTP+SSE (2024-11-05, basic/transports).
const (
	SSEPath      = "/sse"
	MessagesPath = "/messages"
	sessionQuery = "sessionId"
)

// serveSSE serves one connection, which has a session of its own: all that
// its server says goes to this connection, and each ends with the other. A
// connection whose client is idle ends as well: that it stands open shows that
// somebody is there, but behind a proxy that may be nobody but the proxy.
func (b *Bridge) serveSSE(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet {
		w.Header().Set("Allow", "GET")
		writeError(w, http.StatusMethodNotAllowed, jsonrpc.CodeInvalidRequest, "the SSE endpoint takes GET")
		return
	}
	s, _, err := b.enlist(rand.Text())
	if err != nil {
		b.refuse(w, nil, err)
		return
	}
	me := s.devote()
	out := b.newResponder(w)
	s.failed = b.launchKeepingAlive(r.Context(), out, s)
	close(s.ready)
	switch verdict := judgeRefusal(s.failed); {
	case s.failed == nil:
	case out.started:
		return // nothing but the end can be said any more
	case verdict.wait > 0:
		b.refuse(w, nil, s.failed)
		return
	default:
		writeError(w, http.StatusBadGateway, jsonrpc.CodeInternal, s.failed.Error())
		return
	}
	defer b.end(s, errGone, true)
	s.guardIdle(b.opts.Idle, func() { b.end(s, errIdle, true) })
	if out.begin(s.only) == nil && out.write(endpointEvent(r.URL.Path, s.id)) == nil {
		out.serve(r.Context(), s.only, me)
	}
}

// launchKeepingAlive starts the server of a connection, which gets comments
// while it waits.
func (b *Bridge) launchKeepingAlive(ctx context.Context, out *responder, s *session) error {
	launched := make(chan error, 1)
	b.tasks.Go(func() { launched <- b.launch(ctx, s) })
	beat := time.NewTicker(b.opts.KeepAlive)
	defer beat.Stop()
	for {
		select {
		case err := <-launched:
			return err
		case <-beat.C:
			_ = out.keepAlive(s.only) // if the client has gone, the context ends
		}
	}
}

// endpointEvent tells the client where to send its messages: relative to the
// path of the stream (RFC 3986, 5.2), since a proxy may serve it below a prefix.
func endpointEvent(stream, id string) []byte {
	up := ""
	if strings.HasSuffix(stream, "/") {
		up = "../"
	}
	return fmt.Appendf(nil, "event: endpoint\ndata: %s%s?%s=%s\n\n", up, MessagesPath[1:], sessionQuery, id)
}

// devote gives the session one stream for everything, and returns its reader.
func (s *session) devote() *reader {
	s.box.mu.Lock()
	defer s.box.mu.Unlock()
	s.only = s.box.newStream(0)
	return s.only.attach(0)
}

// serveMessages takes messages of a client of HTTP+SSE to its server.
func (b *Bridge) serveMessages(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", "POST")
		writeError(w, http.StatusMethodNotAllowed, jsonrpc.CodeInvalidRequest, "the messages endpoint takes POST")
		return
	}
	s, err := b.lookup(r.Context(), r.URL.Query().Get(sessionQuery))
	if err == nil && s.only == nil {
		err = errUnknown
	}
	if err != nil {
		b.refuse(w, nil, err)
		return
	}
	messages, _, ok := b.readMessages(w, r)
	if !ok {
		return
	}
	if err := s.expect(messages); err != nil {
		b.refuse(w, nil, err)
		return
	}
	if err := s.forward(r.Context(), messages); err != nil {
		b.refuse(w, nil, err)
		return
	}
	w.WriteHeader(http.StatusAccepted)
}
