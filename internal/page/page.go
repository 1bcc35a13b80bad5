// Package page is what a bridge shows to people and to health checks: how the
// start is getting on, and then what the server offers and how clients reach
// it. It is given plain data and knows neither bridges nor images. What comes
// from the server is hostile: it is bounded, and never taken for HTML.
package page

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"html/template"
	"net/http"
	"time"
)

//go:embed page.html
var markup string

//go:embed style.css
var style string

//go:embed script.js
var script string

// Options say what the page shows.
type Options struct {
	// State returns how things are. It is called for each request, and must
	// not block.
	State func() State
	// Server returns what the server says of itself; nil while that is not
	// known. It must not block, and what it returns must not change any more.
	Server func() *Server
	// MayUse says whether a request may use the server: whether it carries
	// the token, if one is needed, or else addresses the bridge by a name that
	// is its own. Others see neither its tools nor why it does not start. Nil
	// lets every request see them.
	MayUse func(*http.Request) bool
	// Path is the URL path of the MCP endpoint, unescaped; empty if only
	// HTTP+SSE is served.
	Path string
	// SSEPath is that of HTTP+SSE; empty if that is not served.
	SSEPath string
	// NeedsToken says that the MCP endpoint wants a bearer token.
	NeedsToken bool
	// Version is the version of the runner.
	Version string
}

// page is the handler of the page.
type page struct {
	opts     Options
	template *template.Template
	policy   string
	offers   offers
}

// New returns the handler of the page. It answers GET and HEAD, whatever the
// path, always with 200, so that it serves platforms that wait for that.
func New(opts Options) http.Handler {
	return &page{opts: opts, template: template.Must(template.New("page").Parse(markup)), policy: policy()}
}

// policy is the Content-Security-Policy: nothing but our own style and script
// runs, and nothing is loaded but the page itself. Hugging Face shows a Space
// in a frame.
func policy() string {
	return fmt.Sprintf("default-src 'none'; style-src '%s'; script-src '%s'; img-src data:; connect-src 'self'; "+
		"base-uri 'none'; form-action 'none'; frame-ancestors 'self' https://huggingface.co", hash(style), hash(script))
}

func hash(source string) string {
	sum := sha256.Sum256([]byte(source))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// ServeHTTP shows the page.
func (p *page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !readsOnly(w, r) {
		return
	}
	var body bytes.Buffer
	if err := p.template.Execute(&body, p.view(r)); err != nil {
		panic("internal error: " + err.Error())
	}
	sum := sha256.Sum256(body.Bytes())
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", p.policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	h.Set("Vary", "Authorization")
	// The script of the page asks with it whether anything has changed.
	h.Set("ETag", `"`+hex.EncodeToString(sum[:8])+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body.Bytes()))
}

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
