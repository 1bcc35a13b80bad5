package bridge

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"

	"github.com/drengskapur/fastmcp-runner/internal/bridge/jsonrpc"
)

// guard lets nobody in who does not belong.
type guard struct {
	origins Origins
	token   [sha256.Size]byte // a hash, so that comparing takes the same time for any length
	open    bool              // no token is needed
	refused func(header, value string)
	stats   *stats
}

func newGuard(opts *Options, counted *stats) *guard {
	log := opts.Log
	return &guard{
		stats: counted, origins: opts.Origins, token: sha256.Sum256([]byte(opts.Token)), open: opts.Token == "",
		refused: func(header, value string) {
			log.Warn(
				"Refused a request from elsewhere; if it belongs here, name its origin in RUNNER_ALLOWED_ORIGINS",
				"header", header, "value", value,
			)
		},
	}
}

// admit says whether a request may go on; if not, it has been answered.
func (g *guard) admit(w http.ResponseWriter, r *http.Request) bool {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	origin := r.Header.Get("Origin")
	switch {
	case !g.origins.AllowsHost(r.Host):
		return g.refuse(w, "Host", r.Host)
	case origin != "" && !g.origins.AllowsOrigin(origin):
		return g.refuse(w, "Origin", origin)
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

// admits says whether a request would be let in.
func (g *guard) admits(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	return g.origins.AllowsHost(r.Host) && (origin == "" || g.origins.AllowsOrigin(origin)) && (g.open || g.holdsToken(r))
}

func (g *guard) refuse(w http.ResponseWriter, header, value string) bool {
	g.stats.refused[refusedOrigin].Add(1)
	g.refused(header, value)
	writeError(w, http.StatusForbidden, jsonrpc.CodeInvalidRequest, "the "+header+" of the request is not allowed here")
	return false
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
