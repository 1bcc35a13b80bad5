// Package origins decides by the Host and Origin headers who may come to a
// server: under which names it may be addressed, and which web pages may use it.
// It does not know what is served.
package origins

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/net/idna"
)

// Allowed says under which names clients may address a server, and from
// which web pages browsers may use it. The zero value allows the loopback
// only.
//
// It guards against DNS rebinding: a web page whose own name suddenly resolves
// to the server's address sends that name as Host and as Origin. An address in
// place of a name cannot be rebound, so that Host may be any address.
type Allowed struct {
	names    []string // of the origins below, lower case: what a Host may be
	hosts    []string // of the platform, lower case; one that begins with "*" stands for every name with its end
	prefixes []string // of hosts with "*": how their names begin
	origins  []string // as canonical returns them
	any      bool
}

// From reads from an environment under which names the platform makes
// the server known, and RUNNER_ALLOWED_ORIGINS: origins such as
// https://mcp.example.com, separated by commas or spaces, or * for all. The
// error names the first entry that is none.
func From(environ []string) (Allowed, error) {
	env := map[string]string{}
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		env[name] = strings.TrimSpace(value)
	}
	o := Allowed{}
	for _, name := range []string{
		"SPACE_HOST", "RENDER_EXTERNAL_HOSTNAME", "RAILWAY_PUBLIC_DOMAIN",
		"WEBSITE_HOSTNAME",       // Azure App Service
		"CONTAINER_APP_HOSTNAME", // Azure Container Apps: of this revision
	} {
		o.addHost(env[name], "")
	}
	if app := env["FLY_APP_NAME"]; app != "" {
		o.addHost(app+".fly.dev", "")
	}
	if app, suffix := env["CONTAINER_APP_NAME"], env["CONTAINER_APP_ENV_DNS_SUFFIX"]; app != "" && suffix != "" {
		o.addHost(app+"."+suffix, "")
	}
	if service := env["K_SERVICE"]; service != "" { // Cloud Run: SERVICE-PROJECT.REGION.run.app, SERVICE-HASH.a.run.app
		o.addHost("*.run.app", service+"-")
	}
	return o, o.addOrigins(env["RUNNER_ALLOWED_ORIGINS"])
}

func (o *Allowed) addHost(host, prefix string) {
	if host != "" {
		o.hosts = append(o.hosts, strings.ToLower(host))
		o.prefixes = append(o.prefixes, strings.ToLower(prefix))
	}
}

func (o *Allowed) addOrigins(list string) error {
	for entry := range strings.FieldsFuncSeq(list, func(r rune) bool { return r == ',' || r == ' ' }) {
		if entry == "*" {
			o.any = true
			continue
		}
		u, ok := canonical(strings.TrimSuffix(entry, "/"))
		if !ok {
			return fmt.Errorf("%q is not an origin such as https://mcp.example.com", entry)
		}
		o.origins = append(o.origins, u.String())
		o.names = append(o.names, hostname(u.Host))
	}
	return nil
}

// AllowsHost says whether a request may have this Host header.
func (o *Allowed) AllowsHost(header string) bool {
	host := hostname(header)
	if _, err := netip.ParseAddr(host); err == nil || o.any {
		return true
	}
	return slices.Contains(o.names, host) || isLocalhost(host) || o.allowsName(host)
}

// AllowsOrigin says whether a request may have this Origin header: one that
// was named is allowed with its scheme, host and port (RFC 6454, 5).
func (o *Allowed) AllowsOrigin(header string) bool {
	if o.any {
		return true
	}
	u, ok := canonical(header)
	if !ok {
		return false
	}
	if slices.Contains(o.origins, u.String()) {
		return true
	}
	if u.Scheme != "http" && u.Scheme != "https" {
		return false
	}
	host := u.Hostname()
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.IsLoopback()
	}
	// The names of a platform are served over HTTPS only, by its proxy.
	return isLocalhost(host) || u.Scheme == "https" && u.Port() == "" && o.allowsName(host)
}

// canonical returns an origin as browsers write it (RFC 6454, 6.2): in lower
// case, names in ASCII, addresses in their short form, and without the port that
// its scheme has anyway. What is more than scheme, host and port is none.
func canonical(origin string) (*url.URL, bool) {
	text := strings.ToLower(origin)
	u, err := url.Parse(text)
	if err != nil || text != u.Scheme+"://"+u.Host || strings.HasSuffix(u.Host, ":") {
		return nil, false
	}
	host, okHost := canonicalHost(u.Hostname())
	port, okPort := canonicalPort(u)
	u.Host = host + port
	return u, okHost && okPort
}

func canonicalHost(host string) (string, bool) {
	if addr, err := netip.ParseAddr(host); err == nil && addr.Is6() {
		return "[" + addr.String() + "]", true
	}
	if strings.ContainsFunc(host, func(r rune) bool { return r > unicode.MaxASCII }) {
		ascii, err := idna.Lookup.ToASCII(host)
		return ascii, err == nil
	}
	// Names of containers may have what those of the DNS have not: "_".
	return host, host != "" && strings.Trim(host, "abcdefghijklmnopqrstuvwxyz0123456789-._") == ""
}

// canonicalPort returns the port of a URL with its colon; empty if it is that
// of the scheme.
func canonicalPort(u *url.URL) (string, bool) {
	if u.Port() == "" {
		return "", true
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	if u.Scheme == "http" && port == 80 || u.Scheme == "https" && port == 443 {
		return "", true
	}
	return ":" + strconv.FormatUint(port, 10), err == nil
}

func (o *Allowed) allowsName(host string) bool {
	for i, allowed := range o.hosts {
		suffix, wild := strings.CutPrefix(allowed, "*")
		if host == allowed || wild && strings.HasSuffix(host, suffix) && strings.HasPrefix(host, o.prefixes[i]) {
			return true
		}
	}
	return false
}

// isLocalhost says whether a name is one of the loopback (RFC 6761, 6.3).
func isLocalhost(host string) bool {
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// hostname returns the host of a host[:port], lower case.
func hostname(hostport string) string {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	return strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
}
