// Package page is what a bridge shows to people and to health checks: how the
// start is getting on, and then what the server offers and how clients reach
// it. It is given plain data and knows neither bridges nor images. What comes
// from the server is hostile: it is bounded, and never taken for HTML.
package page

import (
	"html/template"
	"net/http"
)

// Options say what the page shows.
type Options struct {
	// State returns how things are. It is called for each request, and must
	// not block.
	State func() State
	// Server returns what the server says of itself; nil while that is not
	// known. It must not block, and what it returns must not change any more.
	Server func() *Server
	// MaySeeTools says whether a request may see the tools: whether it carries
	// the token, if one is needed, and addresses the bridge by a name that is
	// its own. Nil lets every request see them.
	MaySeeTools func(*http.Request) bool
	// Path is the URL path of the MCP endpoint.
	Path string
	// SSEPath is that of HTTP+SSE; empty if that is not served.
	SSEPath string
	// NeedsToken says that the MCP endpoint wants a bearer token.
	NeedsToken bool
	// Version is the version of the runner.
	Version string
}

// New returns the handler of the page. It answers GET and HEAD, whatever the
// path, always with 200, so that it serves platforms that wait for that.
func New(opts Options) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !readsOnly(w, r) {
			return
		}
		view := struct {
			State  State
			Server *Server
			Tools  bool
		}{opts.State(), opts.Server(), opts.MaySeeTools == nil || opts.MaySeeTools(r)}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		_ = plain.Execute(w, view) // a client that went away is no loss
	})
}

//nolint:gochecknoglobals // a template is parsed once and does not change
var plain = template.Must(template.New("page").Parse(`<!doctype html><title>FastMCP Runner</title>
<p>{{.State.Status}} {{.State.Phase}} {{.State.Read}}/{{.State.Total}} {{.State.Reason}}
{{with .Server}}<h1>{{.Name}} {{.Version}}</h1>{{if $.Tools}}{{range .Tools}}<h2>{{.Name}}</h2><p>{{.Description}}{{end}}{{end}}{{end}}
`))

// Off returns the handler that stands in for the page when it is switched off:
// a line of text, always with 200.
func Off() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !readsOnly(w, r) {
			return
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		_, _ = w.Write([]byte("FastMCP Runner\n")) // a client that went away is no loss
	})
}
