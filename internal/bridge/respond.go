package bridge

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/drengskapur/fastmcp-runner/internal/bridge/jsonrpc"
)

const (
	// writeTimeout is how long a client may take to read a piece of an
	// answer. Then its connection is cut; it may resume the stream.
	writeTimeout = 30 * time.Second
	// retryAfter is when a client whose stream we close may come back.
	retryAfter = time.Second
)

// responder writes a stream to a connection: as one JSON object if the first
// message on it is the answer, and as server-sent events otherwise.
type responder struct {
	w       http.ResponseWriter
	control *http.ResponseController
	// closing is closed when the bridge shuts down.
	closing <-chan struct{}
	sent    *atomic.Uint64 // bytes
	// resumable gives events their ids, by which a client can resume.
	resumable bool
	// primed starts the events with an empty one, so that there is an id
	// from the start (2025-11-25, basic/transports, 6). Clients of older
	// revisions take it for a message.
	primed bool
	// header, if set, adds to the headers before they are written. It is
	// told whether they are those of an answer, or of a stream.
	header func(answered bool)
	// status chooses the HTTP status of an answer; nil stands for 200.
	status func(answer []byte) int

	started  bool // the headers of an event stream were written
	dirty    bool // something was written and not flushed
	extended time.Time
}

func (b *Bridge) newResponder(w http.ResponseWriter) *responder {
	return &responder{w: w, control: http.NewResponseController(w), closing: b.closing, sent: &b.stats.sent}
}

// serve writes a stream until it ends, the client goes, or somebody else reads
// it. It says whether the client has got all of it.
func (r *responder) serve(ctx context.Context, st *stream, me *reader) bool {
	for {
		e, news := st.take(me)
		switch news {
		case message:
			if e.final && !r.started {
				return r.writeJSON(e.data) == nil
			}
			if r.writeEvent(st, e) != nil {
				return false
			}
			continue
		case theEnd:
			return r.begin(st) == nil && r.flush() == nil
		case takenOver:
			return false
		case silence:
			// It tells proxies and the client that we are alive, and us
			// whether the client is.
			if r.keepAlive(st) != nil {
				return false
			}
		case nothing:
		}
		if r.flush() != nil {
			return false
		}
		select {
		case <-me.wake:
		case <-ctx.Done():
			return false
		case <-r.closing:
			if st.standing {
				r.leave(st)
				return false
			}
			// An answer may still come: the servers are being ended.
			r.closing = nil
		}
	}
}

// keepAlive writes a comment.
func (r *responder) keepAlive(st *stream) error {
	if err := r.begin(st); err != nil {
		return err
	}
	if err := r.write([]byte(": keep-alive\n\n")); err != nil {
		return err
	}
	return r.flush()
}

// leave closes a stream that has no end.
func (r *responder) leave(st *stream) {
	if r.begin(st) == nil && r.write(retryField()) == nil {
		_ = r.flush() // nothing is left to be done about an error
	}
}

func retryField() []byte {
	return fmt.Appendf(nil, "retry: %d\n\n", retryAfter.Milliseconds())
}

// writeJSON writes the only message of a stream.
func (r *responder) writeJSON(data []byte) error {
	h := r.w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(data)))
	if r.header != nil {
		r.header(true)
	}
	if r.status != nil {
		r.w.WriteHeader(r.status(data))
	}
	if err := r.write(data); err != nil {
		return err
	}
	return r.flush()
}

// begin writes the headers of an event stream and what comes before its first
// event, once.
func (r *responder) begin(st *stream) error {
	if r.started {
		return nil
	}
	r.started, r.dirty = true, true
	h := r.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-cache, no-transform")
	h.Set("X-Accel-Buffering", "no")
	if r.header != nil {
		r.header(false)
	}
	r.w.WriteHeader(http.StatusOK)
	if !r.primed {
		return nil
	}
	return r.write(fmt.Appendf(nil, "id: %s\nretry: %d\ndata:\n\n", eventID(st, 0), retryAfter.Milliseconds()))
}

// writeEvent writes a message as an event.
func (r *responder) writeEvent(st *stream, e event) error {
	if err := r.begin(st); err != nil {
		return err
	}
	head := []byte("event: message\n")
	if r.resumable {
		head = fmt.Appendf(head, "id: %s\n", eventID(st, e.sequence))
	}
	for _, part := range [][]byte{append(head, "data: "...), e.data, []byte("\n\n")} {
		if err := r.write(part); err != nil {
			return err
		}
	}
	return nil
}

func (r *responder) write(data []byte) error {
	r.extend()
	r.dirty = true
	r.sent.Add(uint64(len(data)))
	_, err := r.w.Write(data) //nolint:gosec // G705: it is JSON or an event stream, and marked so
	return err
}

func (r *responder) flush() error {
	if !r.dirty {
		return nil
	}
	r.dirty = false
	return r.control.Flush()
}

// extend gives the client time for the next piece, unless it has got some a
// moment ago. A connection without deadlines, as in some tests and behind some
// wrappers, goes without.
func (r *responder) extend() {
	if now := time.Now(); now.Sub(r.extended) > time.Second {
		r.extended = now
		_ = r.control.SetWriteDeadline(now.Add(writeTimeout))
	}
}

// eventID names an event and its stream: p12.3 is the third event on stream
// 12, which belongs to a POST, g13.0 the start of stream 13, which stands.
func eventID(st *stream, sequence uint64) string {
	kind := "p"
	if st.standing {
		kind = "g"
	}
	return kind + strconv.FormatUint(st.number, 10) + "." + strconv.FormatUint(sequence, 10)
}

// parseEventID reads what eventID has written.
func parseEventID(id string) (number, sequence uint64, standing, ok bool) {
	kind, rest := id[:min(1, len(id))], id[min(1, len(id)):]
	a, b, found := strings.Cut(rest, ".")
	number, errA := strconv.ParseUint(a, 10, 64)
	sequence, errB := strconv.ParseUint(b, 10, 63)
	return number, sequence, kind == "g", found && errA == nil && errB == nil && (kind == "g" || kind == "p")
}

// writeError answers a request that the bridge refuses, by an error response
// without an id.
func writeError(w http.ResponseWriter, status, code int, text string) {
	writeFailure(w, status, jsonrpc.Failure(nil, code, text, nil))
}

func writeFailure(w http.ResponseWriter, status int, failure []byte) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(failure)))
	w.WriteHeader(status)
	_, _ = w.Write(failure) //nolint:gosec // G705: it is JSON, and marked so; if the client is gone there is nobody to tell
}
