package bridge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/drengskapur/fastmcp-runner/internal/bridge/jsonrpc"
)

// The headers of Streamable HTTP.
const (
	sessionHeader = "Mcp-Session-Id"
	versionHeader = "Mcp-Protocol-Version"
	lastEventID   = "Last-Event-Id"
)

// The revisions of MCP that make a difference.
const (
	versionBatches  = "2025-03-26" // the only one with batches
	versionPriming  = "2025-11-25" // from here on streams start with an empty event
	versionStateful = "2024-11-05" // the first one
)

// bodyTimeout is how long a client may take to send a request.
const bodyTimeout = 60 * time.Second

// serveEndpoint serves the MCP endpoint.
func (b *Bridge) serveEndpoint(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodPost:
		b.post(w, r)
	case http.MethodGet:
		b.get(w, r)
	case http.MethodDelete:
		b.delete(w, r)
	default:
		w.Header().Set("Allow", "GET, POST, DELETE")
		writeError(w, http.StatusMethodNotAllowed, jsonrpc.CodeInvalidRequest, "the MCP endpoint takes GET, POST and DELETE")
	}
}

// post takes messages of a client to its server.
func (b *Bridge) post(w http.ResponseWriter, r *http.Request) {
	if !accepts(r, mediaJSON) || !accepts(r, "text/event-stream") {
		writeError(w, http.StatusNotAcceptable, jsonrpc.CodeInvalidRequest, "Accept must list application/json and text/event-stream")
		return
	}
	messages, batch, ok := b.readMessages(w, r)
	if !ok {
		return
	}
	switch m := messages[0]; {
	case batch:
	case isModern(r, &m):
		b.postModern(w, r, m)
		return
	case m.Method == "initialize" && m.Kind == jsonrpc.Request:
		b.initialize(w, r, m)
		return
	}
	s, ok := b.sessionOf(w, r)
	if !ok {
		return
	}
	if batch && !takesBatch(s, messages) {
		writeError(w, http.StatusBadRequest, jsonrpc.CodeInvalidRequest, "batches are of revision 2025-03-26, and hold no initialize")
		return
	}
	b.converse(w, r, s, messages)
}

// mediaJSON is the media type of messages.
const mediaJSON = "application/json"

// readMessages reads the messages of a request; if it cannot, it has answered.
func (b *Bridge) readMessages(w http.ResponseWriter, r *http.Request) (messages []jsonrpc.Message, batch, ok bool) {
	if !isJSON(r.Header.Get("Content-Type")) {
		writeError(w, http.StatusUnsupportedMediaType, jsonrpc.CodeInvalidRequest, "Content-Type must be "+mediaJSON)
		return nil, false, false
	}
	body, err := b.readBody(w, r)
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		b.stats.refused[refusedBody].Add(1)
		writeError(w, http.StatusRequestEntityTooLarge, jsonrpc.CodeInvalidRequest, fmt.Sprintf("the request has more than %d bytes", tooLarge.Limit))
		return nil, false, false
	}
	if errors.Is(err, errCrowded) {
		b.refuse(w, nil, err)
		return nil, false, false
	}
	if err != nil {
		writeError(w, http.StatusBadRequest, jsonrpc.CodeParse, "cannot read the request")
		return nil, false, false
	}
	b.stats.received.Add(uint64(len(body)))
	messages, batch, err = jsonrpc.ParseBatch(body)
	if err == nil {
		err = checkNames(messages)
	}
	if fault, ok := errors.AsType[*jsonrpc.Error](err); ok {
		b.stats.refused[refusedBody].Add(1)
		writeError(w, http.StatusBadRequest, fault.Code, fault.Text)
		return nil, false, false
	}
	return messages, batch, true
}

// maxName bounds the ids and progress tokens that clients choose, because the
// bridge keeps them.
const maxName = 4 << 10

func checkNames(messages []jsonrpc.Message) error {
	for i := range messages {
		if m := &messages[i]; len(m.Bytes(m.ID)) > maxName || len(m.Bytes(m.Token)) > maxName {
			return &jsonrpc.Error{
				Code: jsonrpc.CodeInvalidRequest,
				Text: fmt.Sprintf("the id or the progress token has more than %d bytes", maxName),
			}
		}
	}
	return nil
}

func isJSON(contentType string) bool {
	if contentType == mediaJSON {
		return true // which it nearly always is
	}
	media, _, err := mime.ParseMediaType(contentType)
	return err == nil && media == mediaJSON
}

// readBody reads the body of a request, for whose promised length it gets no
// more memory than is trusted.
func (b *Bridge) readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(bodyTimeout)) // see responder.extend
	src := http.MaxBytesReader(w, r.Body, b.opts.MaxBody)
	size := int64(bytes.MinRead)
	if r.ContentLength >= 0 {
		size = min(r.ContentLength, trusted) + 1
	}
	body := make([]byte, 0, size)
	taken := 0
	defer func() { b.transit.give(taken) }()
	for {
		n, err := src.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		if errors.Is(err, io.EOF) {
			// Not after an error: package net/http reads what is left.
			_ = control.SetReadDeadline(time.Time{})
			return body, nil
		}
		if err != nil {
			return nil, err
		}
		if len(body) == cap(body) {
			b.transit.give(taken)
			taken = 0
			if err := b.transit.take(2 * len(body)); err != nil {
				return nil, err
			}
			taken = 2 * len(body)
			body = slices.Grow(body, len(body))
		}
	}
}

// accepts says whether a client takes a media type. One that does not say what
// it takes, takes all (RFC 9110, 12.5.1).
func accepts(r *http.Request, media string) bool {
	values := r.Header["Accept"]
	for _, value := range values {
		for accepted := range strings.SplitSeq(value, ",") {
			accepted, _, _ = strings.Cut(accepted, ";")
			if covers(strings.TrimSpace(accepted), media) {
				return true
			}
		}
	}
	return len(values) == 0
}

// covers says whether a media range of an Accept header takes a media type.
func covers(accepted, media string) bool {
	if strings.EqualFold(accepted, media) || accepted == "*/*" {
		return true
	}
	kind, all := strings.CutSuffix(accepted, "/*")
	return all && len(kind) < len(media) && media[len(kind)] == '/' && strings.EqualFold(kind, media[:len(kind)])
}

// sessionOf returns the session of a request; if there is none, it has
// answered.
func (b *Bridge) sessionOf(w http.ResponseWriter, r *http.Request) (*session, bool) {
	id := r.Header.Get(sessionHeader)
	if id == "" {
		writeError(w, http.StatusBadRequest, jsonrpc.CodeInvalidRequest, "the "+sessionHeader+" header is missing, and this is no initialize request")
		return nil, false
	}
	s, err := b.lookup(r.Context(), id)
	if err != nil {
		b.refuse(w, nil, err)
		return nil, false
	}
	if version := r.Header.Get(versionHeader); !speaks(s, version) {
		writeError(w, http.StatusBadRequest, jsonrpc.CodeInvalidRequest, fmt.Sprintf("this session does not speak revision %q", version))
		return nil, false
	}
	return s, true
}

// speaks says whether a header may name this revision. Clients differ in
// whether they name the one that was agreed on or their own.
func speaks(s *session, version string) bool {
	_, _, _, agreed := s.progress()
	return version == "" || version == agreed ||
		slices.Contains([]string{versionStateful, versionBatches, "2025-06-18", versionPriming}, version)
}

func takesBatch(s *session, messages []jsonrpc.Message) bool {
	_, _, _, version := s.progress()
	return version == versionBatches &&
		!slices.ContainsFunc(messages, func(m jsonrpc.Message) bool { return m.Method == "initialize" })
}

// refuse answers a request that does not reach a server. A client that gets
// 404 begins a new session.
func (b *Bridge) refuse(w http.ResponseWriter, id []byte, err error) {
	v := judgeRefusal(err)
	b.tellRetry(w, v)
	writeFailure(w, v.status, jsonrpc.Failure(id, v.code, err.Error(), nil))
}

// verdict is how a request is refused.
type verdict struct {
	status, code int
	wait         time.Duration // after which it may come again; zero if never
	counted      refusal       // refusalCount if it is not
}

// judgeRefusal says how a request is refused for an error.
func judgeRefusal(err error) verdict {
	later := func(wait time.Duration, counted refusal) verdict {
		return verdict{http.StatusServiceUnavailable, jsonrpc.CodeInternal, wait, counted}
	}
	if backoff, ok := errors.AsType[*backoffError](err); ok {
		return later(backoff.wait, refusedFailing)
	}
	if crowded, ok := errors.AsType[*crowdedError](err); ok {
		return later(crowded.retry, refusedQueue)
	}
	switch {
	case errors.Is(err, errCrowded):
		return later(time.Second, refusalCount)
	case errors.Is(err, errLaneBusy):
		return later(time.Second, refusedFull)
	case errors.Is(err, ErrFull):
		return later(10*time.Second, refusedFull)
	case errors.Is(err, errDown):
		return later(10*time.Second, refusalCount)
	case errors.Is(err, errBusy):
		return verdict{http.StatusBadRequest, jsonrpc.CodeInvalidRequest, 0, refusedFull}
	case errors.Is(err, errDuplicate):
		return verdict{http.StatusBadRequest, jsonrpc.CodeInvalidRequest, 0, refusalCount}
	}
	return verdict{http.StatusNotFound, jsonrpc.CodeInvalidRequest, 0, refusalCount}
}

// tellRetry counts a refusal and tells the client when to come again.
func (b *Bridge) tellRetry(w http.ResponseWriter, v verdict) {
	if v.counted < refusalCount {
		b.stats.refused[v.counted].Add(1)
	}
	if v.wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(v.wait.Seconds()))))
	}
}

// initialize opens a session.
func (b *Bridge) initialize(w http.ResponseWriter, r *http.Request, m jsonrpc.Message) {
	if r.Header.Get(sessionHeader) != "" {
		if _, ok := b.sessionOf(w, r); ok {
			writeError(w, http.StatusBadRequest, jsonrpc.CodeInvalidRequest, "the session has begun already")
		}
		return
	}
	s, _, err := b.enlist(b.signer.newID(m.Bytes(m.Params), time.Now()))
	if err != nil {
		b.refuse(w, m.Bytes(m.ID), err)
		return
	}
	b.begin(w, r, s, m)
}

// begin carries the first request of a session, which may have to wait for its
// server.
func (b *Bridge) begin(w http.ResponseWriter, r *http.Request, s *session, m jsonrpc.Message) {
	st, me, err := s.open([]jsonrpc.Message{m})
	if err != nil {
		s.failed = err
		close(s.ready)
		b.abandon(s, err)
		b.refuse(w, m.Bytes(m.ID), err)
		return
	}
	over := make(chan struct{})
	defer close(over)
	b.tasks.Go(func() { b.bring(r.Context(), s, m, over) })
	out := b.newResponder(w)
	out.status = func([]byte) int { return b.startStatus(w, s) }
	out.header = func(answered bool) {
		if begun, _, _, _ := s.progress(); begun || !answered {
			w.Header().Set(sessionHeader, s.id)
		}
	}
	delivered := s.deliver(r.Context(), out, st, me)
	switch begun, _, _, _ := s.progress(); {
	case !begun:
		b.end(s, errRefused, true)
	case !delivered:
		b.end(s, errGone, true) // nobody knows the id
	}
}

// bring starts the server of a session and carries the first request to it,
// which has to be over in time.
func (b *Bridge) bring(ctx context.Context, s *session, m jsonrpc.Message, over <-chan struct{}) {
	s.failed = b.launch(ctx, s)
	close(s.ready)
	if s.failed != nil {
		return // which is the answer already
	}
	s.guardIdle(b.opts.Idle, func() { b.end(s, errIdle, false) })
	late := time.AfterFunc(b.opts.Start, func() { b.end(s, &slowError{b.opts.Start, s.server.LastWords()}, true) })
	defer late.Stop()
	if err := s.forward(ctx, []jsonrpc.Message{m}); err != nil {
		s.log.Debug("Cannot reach the server", "err", err)
	}
	<-over
}

// startStatus returns the HTTP status of the answer to initialize: 503 if the
// server was not started because others are before it, or because it fails.
func (b *Bridge) startStatus(w http.ResponseWriter, s *session) int {
	v := judgeRefusal(s.why())
	if v.status != http.StatusServiceUnavailable || errors.Is(s.why(), errDown) {
		return http.StatusOK
	}
	b.tellRetry(w, v)
	return v.status
}

// slowError says that a server does not begin.
type slowError struct {
	limit time.Duration
	words string
}

func (e *slowError) Error() string {
	text := fmt.Sprintf("the server did not answer initialize within %s", e.limit)
	if e.words != "" {
		text += "; its last words: " + strings.ReplaceAll(e.words, "\n", " | ")
	}
	return text
}

// converse carries messages of a session that has begun.
func (b *Bridge) converse(w http.ResponseWriter, r *http.Request, s *session, messages []jsonrpc.Message) {
	if slices.ContainsFunc(messages, func(m jsonrpc.Message) bool { return m.Kind == jsonrpc.Request }) {
		out := b.newResponder(w)
		_, _, _, version := s.progress()
		out.resumable, out.primed = true, version >= versionPriming
		b.answer(r.Context(), w, out, s, messages)
		return
	}
	if err := s.forward(r.Context(), messages); err != nil {
		b.refuse(w, nil, err)
		return
	}
	w.WriteHeader(http.StatusAccepted)
}

// answer carries messages, of which at least one is a request, and writes what
// comes back. It says whether the client has got all of it.
func (b *Bridge) answer(ctx context.Context, w http.ResponseWriter, out *responder, s *session, messages []jsonrpc.Message) bool {
	requests := requestsAmong(messages)
	st, me, err := s.open(requests)
	if err != nil {
		b.refuse(w, requests[0].Bytes(requests[0].ID), err)
		return false
	}
	if err := s.forward(ctx, messages); err != nil {
		s.log.Debug("Cannot reach the server", "err", err)
	}
	return s.deliver(ctx, out, st, me)
}

// deliver writes what comes back of requests, and says whether the client has
// got all of it.
func (s *session) deliver(ctx context.Context, out *responder, st *stream, me *reader) bool {
	defer s.release(st, me)
	delivered := out.serve(ctx, st, me)
	if delivered && !out.started {
		s.discard(st) // it had no event ids: nobody can ask for it
	}
	return delivered
}
