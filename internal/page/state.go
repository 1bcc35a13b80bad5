package page

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

// Status is how the server is, in one word.
type Status string

// The statuses.
const (
	// Starting says that the server is not there yet; the phase says why.
	Starting Status = "starting"
	// OK says that the server serves.
	OK Status = "ok"
	// Failing says that the server does not start; the reason says why.
	Failing Status = "failing"
)

// Phase is what a start is at.
type Phase string

// The phases of a start, in their order.
const (
	// Resolving asks the registry what the image is.
	Resolving Phase = "resolving"
	// Pulling reads the image's layers.
	Pulling Phase = "pulling"
	// Launching starts the server and waits until it has answered once.
	Launching Phase = "launching"
)

// State is how the runner and its server are at one moment. Its JSON is what a
// health check is told; so nothing in it but the reason may be secret.
type State struct {
	Status Status `json:"status"`
	// Phase is what the start is at; empty when it is over.
	Phase Phase `json:"phase,omitempty"`
	// Image is the reference of the image; empty if there is none.
	Image string `json:"image,omitempty"`
	// Read and Total are the bytes of the image's layers: those that were read
	// and all, zero until they are known.
	Read  int64 `json:"read_bytes,omitempty"`
	Total int64 `json:"total_bytes,omitempty"`
	// Sessions is how many sessions there are.
	Sessions int `json:"sessions"`
	// Reason is why the server does not start; empty if that is not known.
	Reason string `json:"reason,omitempty"`
	// RetryAfter is how long no start is tried.
	RetryAfter time.Duration `json:"-"`
}

// untold takes the place of a reason that is not known, and for those who may
// not use the server, of any.
const untold = "the server does not start: the runner's log says why"

// shown is the state as a request may see it: a reason may quote what the server
// wrote to standard error.
func (s State) shown(mayUse bool) State {
	if s.Status == Failing && (s.Reason == "" || !mayUse) {
		s.Reason = untold
	}
	return s
}

// allows says whether a condition holds for a request; nil holds for all.
func allows(condition func(*http.Request) bool, r *http.Request) bool {
	return condition == nil || condition(r)
}

// Health returns the handler of a health check: 200 while the server serves,
// 503 while it starts or fails, and the state as JSON. State must not block.
// MayUse is that of Options.
func Health(state func() State, mayUse func(*http.Request) bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !readsOnly(w, r) {
			return
		}
		s := state().shown(allows(mayUse, r))
		code := http.StatusOK
		if s.Status != OK {
			code = http.StatusServiceUnavailable
			w.Header().Set("Retry-After", strconv.Itoa(int(s.RetryAfter/time.Second)+1))
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(s) // a client that went away is no loss
	})
}

// readsOnly says whether a request is GET or HEAD; others have been answered.
func readsOnly(w http.ResponseWriter, r *http.Request) bool {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return true
	}
	w.Header().Set("Allow", "GET, HEAD")
	http.Error(w, "this path takes GET and HEAD", http.StatusMethodNotAllowed)
	return false
}
