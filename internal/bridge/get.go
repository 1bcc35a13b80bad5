package bridge

import (
	"net/http"

	"github.com/drengskapur/fastmcp-runner/internal/bridge/jsonrpc"
)

// get opens a stream for what belongs to no request, or resumes any stream.
func (b *Bridge) get(w http.ResponseWriter, r *http.Request) {
	if !accepts(r, "text/event-stream") {
		writeError(w, http.StatusNotAcceptable, jsonrpc.CodeInvalidRequest, "Accept must list text/event-stream")
		return
	}
	s, ok := b.sessionOf(w, r)
	if !ok {
		return
	}
	var st *stream
	var me *reader
	if id := r.Header.Get(lastEventID); id != "" {
		if st, me, ok = s.resume(id); !ok {
			writeError(w, http.StatusBadRequest, jsonrpc.CodeInvalidRequest, "there is nothing to resume after this event")
			return
		}
	} else {
		st, me = s.listen()
	}
	defer s.release(st, me)
	_, _, _, version := s.progress()
	out := b.newResponder(w)
	out.resumable, out.primed = true, version >= versionPriming
	if out.begin(st) == nil {
		out.serve(r.Context(), st, me)
	}
}

// delete ends a session.
func (b *Bridge) delete(w http.ResponseWriter, r *http.Request) {
	s, ok := b.sessionOf(w, r)
	if !ok {
		return
	}
	b.end(s, errDeleted, true)
	// Not 204, which clients of the official Python SDK before 1.9 take for a failure.
	w.WriteHeader(http.StatusOK)
}
