package config

import (
	"net/url"
	"strings"

	"github.com/drengskapur/fastmcp-runner/internal/origins"
)

// minKey is how many bytes a key must have: nobody guesses 16.
const minKey = 16

// sessionKey returns the key that signs sessions.
func (p *parser) sessionKey(t table) string {
	const variable = "RUNNER_SESSION_KEY"
	key := p.orFile(variable, t.SessionKey, t.SessionKeyFile)
	if from := p.either(variable); key != "" && len(key) < minKey {
		p.faults.add(from, "%s: the key is shorter than %d bytes: \"openssl rand -hex 32\" makes one", from, minKey)
	}
	return key
}

// The paths that a bridge serves under fixed names.
const (
	SSEPath      = "/sse"
	MessagesPath = "/messages"
	MetricsPath  = "/metrics"
)

// checkServed finds what is wrong with the values for what is served.
func (p *parser) checkServed(src Source, t table) {
	switch {
	case src.Serves == Nothing:
	case src.Serves == Image && t.Transport != Stdio && !p.faults.about("MCP_TRANSPORT"):
		p.checkProtected(t.Transport)
	default:
		if _, err := origins.From(src.Environ); err != nil {
			p.wrong("RUNNER_ALLOWED_ORIGINS", err.Error())
		}
		p.checkPaths(t)
	}
}

// checkProtected refuses what would protect a server by means of a bridge, of a
// server that listens itself: it would be open.
func (p *parser) checkProtected(spoken Transport) {
	for _, v := range Variables() {
		if v.protects && p.set(v.Name) {
			p.faults.add(v.Name, "%s has no effect on a server that listens itself (MCP_TRANSPORT=%s), which would stand open: "+
				"unset it, and have the server check who comes; or set MCP_TRANSPORT=stdio if it speaks stdio", v.Name, spoken)
		}
	}
}

// claim is a path that is served, and by whom it is.
type claim struct{ path, variable, by string }

// claims returns the paths that a bridge serves.
func (t *table) claims() []claim {
	var claims []claim
	if t.SSE != SSEOnly {
		claims = append(claims, claim{pathOf(string(t.Path)), "MCP_PATH", "MCP_PATH"})
	}
	if t.SSE != SSEOff {
		const by = "the HTTP+SSE transport (RUNNER_BRIDGE_SSE)"
		claims = append(claims, claim{SSEPath, "RUNNER_BRIDGE_SSE", by}, claim{MessagesPath, "RUNNER_BRIDGE_SSE", by})
	}
	claims = append(claims, claim{pathOf(string(t.HealthcheckPath)), "HEALTHCHECK_PATH", "HEALTHCHECK_PATH"})
	if t.Metrics {
		claims = append(claims, claim{MetricsPath, "RUNNER_METRICS", "RUNNER_METRICS"})
	}
	return claims
}

// checkPaths refuses two things in one place.
func (p *parser) checkPaths(t table) {
	claims := t.claims()
	for i, a := range claims {
		for _, b := range claims[:i] {
			if a.path != "" && strings.TrimSuffix(a.path, "/") == strings.TrimSuffix(b.path, "/") {
				p.faults.add(b.variable, "%s and %s both take the path %q: choose another one", b.by, a.by, a.path)
			}
		}
	}
}

// pathOf returns the path of a URL, unescaped; empty if it is none, which is a
// fault of its own.
func pathOf(target string) string {
	u, err := url.ParseRequestURI(target)
	if err != nil {
		return ""
	}
	return u.Path
}

// bridgeGiven returns the variables that are set and mean something to a bridge
// alone.
func (p *parser) bridgeGiven() []string {
	var names []string
	for _, v := range Variables() {
		if v.Group == "bridge" && p.set(v.Name) {
			names = append(names, v.Name)
		}
	}
	return names
}
