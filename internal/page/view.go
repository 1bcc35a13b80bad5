package page

import (
	"cmp"
	"html/template"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"strings"
	"sync"
	"time"
)

const (
	// maxShown bounds the tools that are shown.
	maxShown = 500
	// maxOpen is up to how many tools are shown unfolded.
	maxOpen = 3
	// minFiltered is from how many tools on they can be filtered.
	minFiltered = 8
)

// view is what the template shows for one request.
type view struct {
	Style  template.CSS
	Script template.JS
	Runner string

	State        State
	Title        string
	Name         string
	Facts        []string
	Instructions string
	Reason       string
	Retry        int // seconds
	Step, Amount string
	Steps        []step

	Clients         []string
	Slug            string
	Host            string
	Path, URL       string
	OldPath, OldURL string
	Transport       string // as clients call it
	TransportName   string
	NeedsToken      bool
	TLS             bool
	PlainHTTP       bool // and not on the loopback

	Offer   *offer // nil while it is not known
	MayLook bool   // at the offer
	Count   int
	Open    bool
	Filter  bool
}

// step is one of those that a start takes.
type step struct {
	Text  string
	State string // done, now or next
}

// offer is what a server offers, bounded and clean.
type offer struct {
	name         string
	facts        []string
	instructions string

	Tools     []tool
	MoreTools int
	Untold    bool // what there is
}

// tool is a tool of an offer.
type tool struct {
	Name, Title, Line, Description string
	Arguments                      []argument
	MoreArguments                  bool
}

// newOffer reads what a server says of itself.
func newOffer(s *Server) *offer {
	b := budget{texts: maxTexts, schemas: maxSchemas}
	o := &offer{name: b.take(s.Title, 100), instructions: b.take(s.Instructions, 4<<10), Untold: s.Untold}
	if name := b.take(s.Name, 100); o.name == "" {
		o.name = name
	} else if name != "" && name != o.name {
		o.facts = append(o.facts, name)
	}
	if version := b.take(s.Version, 60); version != "" {
		o.facts = append(o.facts, "version "+version)
	}
	if revision := b.take(s.Revision, 20); revision != "" {
		o.facts = append(o.facts, "MCP "+revision)
	}
	shown := s.Tools[:min(len(s.Tools), maxShown)]
	o.MoreTools = len(s.Tools) - len(shown)
	for i := range shown {
		o.Tools = append(o.Tools, newTool(&shown[i], &b))
	}
	return o
}

func newTool(t *Tool, b *budget) tool {
	// The names come out of no budget: what there is must be seen.
	shown := tool{Name: cut(strings.TrimSpace(t.Name), 128), Title: b.take(t.Title, 200), Description: b.take(t.Description, 4<<10)}
	if shown.Name == "" {
		shown.Name = "(without a name)"
	}
	line, _, _ := strings.Cut(shown.Description, "\n")
	shown.Line = cut(line, 120)
	shown.Arguments, shown.MoreArguments = readArguments(t.InputSchema, b)
	return shown
}

// offers keeps the offer of the server that was seen last.
type offers struct {
	mu   sync.Mutex
	of   *Server
	last *offer
}

// of returns the offer of a server; nil for none.
func (o *offers) read(s *Server) *offer {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.of != s {
		o.of, o.last = s, nil
		if s != nil {
			o.last = newOffer(s)
		}
	}
	return o.last
}

// view decides what a request is shown.
func (p *page) view(r *http.Request) *view {
	mayUse := allows(p.opts.MayUse, r)
	s := p.opts.State().shown(mayUse)
	v := &view{
		Style: template.CSS(style), Script: template.JS(script), //nolint:gosec // G203: both are ours
		Runner: p.opts.Version, State: s, NeedsToken: p.opts.NeedsToken,
		Reason: cut(s.Reason, 4<<10), Retry: int((s.RetryAfter + time.Second - 1) / time.Second),
		MayLook: mayUse,
		Clients: []string{"Claude Code", "Claude Desktop", "Cursor", "VS Code", "mcp-remote"},
	}
	if p.opts.Server != nil {
		v.Offer = p.offers.read(p.opts.Server())
	}
	v.nameServer()
	v.address(r, &p.opts)
	switch s.Status {
	case Starting:
		v.start()
	case OK, Failing:
	}
	if o := v.Offer; o != nil && v.MayLook {
		v.Instructions = o.instructions
		v.Count = len(o.Tools) + o.MoreTools
		v.Open = v.Count <= maxOpen
		v.Filter = v.Count >= minFiltered
	}
	return v
}

// nameServer says what the server is called: as it says, or else as its image.
func (v *view) nameServer() {
	name := ""
	if v.Offer != nil {
		name, v.Facts = v.Offer.name, v.Offer.facts
	}
	if name == "" {
		name = imageName(v.State.Image)
	}
	v.Slug = slug(name)
	if v.Slug == "" {
		v.Slug = "mcp"
	}
	v.Name, v.Title = name, name+" · FastMCP Runner"
	if name == "" {
		v.Name, v.Title = "The server", "FastMCP Runner"
		if v.State.Status == OK {
			v.Name = "MCP server"
		}
	}
	switch v.State.Status {
	case Starting:
		v.Title = "Starting: " + v.Title
	case Failing:
		v.Title = "Failing: " + v.Title
	case OK:
	}
}

// imageName returns the last part of an image's name, such as mcp for
// ghcr.io/acme/mcp:1.4.
func imageName(reference string) string {
	name, _, _ := strings.Cut(path.Base(reference), "@")
	name, _, _ = strings.Cut(name, ":")
	return strings.Trim(name, "./")
}

// start says how far a start has come.
func (v *view) start() {
	texts := map[Phase]string{
		Resolving: "Asking the registry for the image", Pulling: "Pulling the image", Launching: "Starting the server",
	}
	v.Step = texts[v.State.Phase]
	if v.State.Phase == Pulling && v.State.Total > 0 {
		v.State.Read = min(v.State.Read, v.State.Total)
		v.Amount = amount(v.State.Read, v.State.Total)
	}
	if v.State.Image == "" {
		return
	}
	state := "done"
	for _, s := range []struct {
		phase Phase
		text  string
	}{{Resolving, "Resolve"}, {Pulling, "Pull"}, {Launching, "Start"}} {
		if s.phase != v.State.Phase {
			v.Steps = append(v.Steps, step{s.text, state})
			continue
		}
		v.Steps = append(v.Steps, step{s.text, "now"})
		state = "next"
	}
}

// address says how clients reach the server. It is a guess from the request:
// the script puts what the browser knows in its place.
func (v *view) address(r *http.Request, opts *Options) {
	v.Host = cut(r.Host, 253)
	host := cmp.Or(forwarded(r, "Host", hostGrammar), v.Host)
	if !hostGrammar.MatchString(host) {
		host = "HOST"
	}
	scheme := "http"
	if r.TLS != nil || forwarded(r, "Proto", schemeGrammar) == "https" {
		scheme = "https"
	}
	v.TLS = scheme == "https"
	v.PlainHTTP = scheme == "http" && !loopback.MatchString(host)
	base := scheme + "://" + host + strings.TrimSuffix(forwarded(r, "Prefix", prefixGrammar), "/")
	v.Path, v.Transport, v.TransportName = quotable(opts.Path), "http", "Streamable HTTP"
	v.OldPath = quotable(opts.SSEPath)
	if opts.Path == "" {
		v.Path, v.Transport, v.TransportName = v.OldPath, "sse", "HTTP+SSE"
	}
	v.URL = base + v.Path
	if v.OldPath != "" {
		v.OldURL = base + v.OldPath
	}
}

// maxForwarded bounds what a proxy may say of an address, in bytes.
const maxForwarded = 512

// forwarded returns what a proxy says of the request that it got: the first
// value of an X-Forwarded header, which is that of the outermost proxy; empty if
// there is none of this form. Anybody can send such a header: it decides what is
// shown, and nothing else.
func forwarded(r *http.Request, name string, grammar *regexp.Regexp) string {
	first, _, _ := strings.Cut(r.Header.Get("X-Forwarded-"+name), ",")
	first = strings.TrimSpace(first)
	if len(first) > maxForwarded || !grammar.MatchString(first) {
		return ""
	}
	return first
}

var (
	schemeGrammar = regexp.MustCompile(`^https?$`)
	prefixGrammar = regexp.MustCompile(`^(/[A-Za-z0-9._~-]+)+/?$`)
)

// hostGrammar is what may stand as host[:port] in a URL that people paste into
// shells and configurations.
var hostGrammar = regexp.MustCompile(`^([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?$`)

// loopback is what mcp-remote takes for this machine.
var loopback = regexp.MustCompile(`^(localhost|127\.0\.0\.1)(:|$)`)

// quotable escapes a URL path so that it may stand between double quotes, in
// JSON as in shells.
func quotable(path string) string {
	escaped := (&url.URL{Path: path}).EscapedPath()
	return strings.NewReplacer("$", "%24", "!", "%21").Replace(escaped)
}
