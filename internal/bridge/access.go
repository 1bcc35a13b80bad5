package bridge

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/drengskapur/fastmcp-runner/internal/bridge/jsonrpc"
	"github.com/drengskapur/fastmcp-runner/internal/origins"
)

// guard lets nobody in who does not belong.
type guard struct {
	origins origins.Allowed
	token   [sha256.Size]byte // a hash, so that comparing takes the same time for any length
	open    bool              // no token is needed
	refused func(header, value string)
	stats   *stats
}

func newGuard(opts *Options, counted *stats) *guard {
	log := opts.Log
	rare := occasion{pause: refusalPause}
	return &guard{
		stats: counted, origins: opts.Origins, token: sha256.Sum256([]byte(opts.Token)), open: opts.Token == "",
		refused: func(header, value string) {
			now, missed := rare.comes(time.Now())
			if !now {
				return
			}
			log.Warn(
				"Refused a request from elsewhere; if it belongs here, name its origin in RUNNER_ALLOWED_ORIGINS",
				"header", header, "value", value[:min(len(value), maxShown)], "refused_since_the_last", missed,
			)
		},
	}
}

const (
	// refusalPause is the least time between two lines of the log about
	// requests that were refused, since anybody can make them.
	refusalPause = 10 * time.Second
	// maxShown is how much of a foreign header the log shows.
	maxShown = 256
)

// occasion comes at most once in a while.
type occasion struct {
	pause time.Duration

	mu     sync.Mutex
	next   time.Time
	missed int
}

// comes says whether it is time, and how often it was not since the last one.
func (o *occasion) comes(now time.Time) (yes bool, missed int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if now.Before(o.next) {
		o.missed++
		return false, 0
	}
	o.next = now.Add(o.pause)
	missed, o.missed = o.missed, 0
	return true, missed
}

// admit says whether a request may go on; if not, it has been answered.
func (g *guard) admit(w http.ResponseWriter, r *http.Request) bool {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	origin := strings.Join(r.Header.Values("Origin"), ", ") // of which there is one, or it is none
	switch {
	case !g.allowsHost(r):
		return g.refuse(w, "Host", r.Host)
	case origin != "" && !g.origins.AllowsOrigin(origin):
		return g.refuse(w, "Origin", origin)
	case origin == "" && r.Header.Get(fetchSite) == "cross-site":
		// Browsers send no Origin for an image, which would start a server.
		return g.refuse(w, fetchSite, "cross-site")
	}
	if origin != "" {
		allowOrigin(w, origin)
		if r.Method == http.MethodOptions {
			answerPreflight(w, r)
			return false
		}
	}
	if !g.open && !g.holdsToken(r) {
		g.stats.refused[refusedToken].Add(1)
		w.Header().Set("WWW-Authenticate", `Bearer realm="mcp"`)
		writeError(w, http.StatusUnauthorized, jsonrpc.CodeInvalidRequest, "a bearer token is required")
		return false
	}
	return true
}

// fetchSite is where browsers say whose page makes a request.
const fetchSite = "Sec-Fetch-Site"

// admits says whether a request would be let in.
func (g *guard) admits(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	return g.allowsHost(r) && (origin == "" || g.origins.AllowsOrigin(origin)) && (g.open || g.holdsToken(r))
}

// allowsHost says whether a request may have its Host. Where a token is needed
// it may be any: a page whose name was rebound to this address has no token,
// and browsers add none by themselves.
func (g *guard) allowsHost(r *http.Request) bool {
	return !g.open || g.origins.AllowsHost(r.Host)
}

func (g *guard) refuse(w http.ResponseWriter, header, value string) bool {
	g.stats.refused[refusedOrigin].Add(1)
	g.refused(header, value)
	writeError(w, http.StatusForbidden, jsonrpc.CodeInvalidRequest, refusedText(header, value))
	return false
}

// refusedText says what was refused, and for a Host what to set if that would
// be taken.
func refusedText(header, value string) string {
	text := "the " + header + " of the request is not allowed here"
	cure := "RUNNER_ALLOWED_ORIGINS=http://" + value
	if _, err := origins.From([]string{cure}); header != "Host" || len(value) > maxShown || err != nil {
		return text
	}
	return fmt.Sprintf("%s: if it is this server's, set RUNNER_ALLOWED_ORIGINS=%q", text, "http://"+value)
}

func (g *guard) holdsToken(r *http.Request) bool {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	sum := sha256.Sum256([]byte(strings.TrimSpace(token)))
	return strings.EqualFold(scheme, "Bearer") && subtle.ConstantTimeCompare(sum[:], g.token[:]) == 1
}

// allowOrigin lets the scripts of an allowed origin read the answer (CORS).
func allowOrigin(w http.ResponseWriter, origin string) {
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", origin)
	h.Add("Vary", "Origin")
	h.Set("Access-Control-Expose-Headers", "Mcp-Session-Id, WWW-Authenticate, Retry-After")
}

func answerPreflight(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Access-Control-Allow-Methods", "GET, POST, DELETE, OPTIONS")
	// The names of Mcp-Param-* headers depend on the server's tools.
	if asked := r.Header.Get("Access-Control-Request-Headers"); asked != "" {
		h.Set("Access-Control-Allow-Headers", asked)
	}
	h.Set("Access-Control-Max-Age", "7200")
	w.WriteHeader(http.StatusNoContent)
}
