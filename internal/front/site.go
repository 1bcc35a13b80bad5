package front

import (
	"net/http"
	"strings"

	"github.com/drengskapur/fastmcp-runner/internal/page"
)

// Site is what is found where, before the server is there and after. Paths are
// those of URLs, unescaped.
type Site struct {
	// Path is the MCP endpoint; empty if only HTTP+SSE is served.
	Path string
	// SSEPath and MessagesPath are those of HTTP+SSE; empty if it is not
	// served.
	SSEPath, MessagesPath string
	// HealthPath says how things are, without a token.
	HealthPath string
	// Page says whether / is a page for people; else it is a line of text.
	Page bool
	// NeedsToken says that the bridge wants a token.
	NeedsToken bool
	// Image is the reference of the image; empty if there is none.
	Image string
	// Version is the version of the runner.
	Version string
}

// isHealth says whether a request is one of a health check.
func (s Site) isHealth(r *http.Request) bool { return r.URL.Path == s.HealthPath }

// isHome says whether a request is for the page, which platforms ask for to see
// whether anybody is there. Where the MCP endpoint is / as well, it has what only
// its clients send.
func (s Site) isHome(r *http.Request) bool {
	if r.URL.Path != "/" || s.Path != "/" {
		return r.URL.Path == "/"
	}
	reads := r.Method == http.MethodGet || r.Method == http.MethodHead
	return reads && !strings.Contains(strings.Join(r.Header.Values("Accept"), ","), "text/event-stream")
}

// isEndpoint says whether a request is for the bridge. A slash at the end makes
// no difference, as there.
func (s Site) isEndpoint(r *http.Request) bool {
	path := strings.TrimSuffix(r.URL.Path, "/")
	for _, endpoint := range []string{s.Path, s.SSEPath, s.MessagesPath} {
		if endpoint != "" && path == strings.TrimSuffix(endpoint, "/") {
			return true
		}
	}
	return false
}

// home returns the handler of /.
func (s Site) home(state func() page.State, server func() *page.Server, mayUse func(*http.Request) bool) http.Handler {
	if !s.Page {
		return page.Off()
	}
	return page.New(page.Options{
		State: state, Server: server, MayUse: mayUse,
		Path: s.Path, SSEPath: s.SSEPath, NeedsToken: s.NeedsToken, Version: s.Version,
	})
}

// health returns the handler of the health check.
func (s Site) health(state func() page.State, mayUse func(*http.Request) bool) http.Handler {
	return page.Health(state, mayUse)
}
