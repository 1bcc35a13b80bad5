package front

import (
	"net/http"
	"time"
)

// unreadTime is how long a client may take to send what nobody reads of its
// request, because it was answered before.
const unreadTime = 2 * time.Second

// limitUnread keeps package net/http from waiting for ever for the rest of a
// request that is being answered: it reads that before it sends the answer, and
// has no time limit then. Whoever reads a body sets a limit of its own.
func limitUnread(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != 0 {
			// Without deadlines, as in some tests, the connection is not ours.
			limit := func() { _ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(unreadTime)) }
			limit()
			defer limit()
		}
		h.ServeHTTP(w, r)
	})
}
