package registry

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"

	"github.com/drengskapur/fastmcp-runner/internal/hint"
)

// guard stands below everything that sends requests for one registry, so that
// no realm, redirect or foreign URL can slip past. It refuses plain HTTP to
// hosts that are not allowed it, and keeps a registry out in the world from
// pointing us at services of this machine or its network.
type guard struct {
	registry string
	insecure hosts
	next     http.RoundTripper
}

// RoundTrip sends the request if it may be sent.
func (g *guard) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := g.check(req.URL); err != nil {
		if req.Body != nil {
			_ = req.Body.Close() // RoundTrip must close it; nothing was read from it.
		}
		return nil, err
	}
	return g.next.RoundTrip(req)
}

func (g *guard) check(u *url.URL) error {
	if u.Scheme != "https" && (u.Scheme != "http" || !g.insecure.plainAllowed(u.Host)) {
		return hint.Add(refusal(fmt.Sprintf("plain HTTP to %q is refused", u.Host)), plainHTTPHint)
	}
	if u.Host == g.registry || g.insecure.contain(u.Host) {
		return nil
	}
	if reach := reachOf(u.Hostname()); reach > reachOf(hostname(g.registry)) {
		return hint.Add(refusal(fmt.Sprintf("%s sends us to %q, %s, which is refused", g.registry, u.Host, reach)), reach.hint())
	}
	return nil
}

// refusal is the error of a guard.
type refusal string

func (r refusal) Error() string { return string(r) }

// reach orders hosts by how much of a secret their services may be.
type reach int

const (
	public reach = iota
	private
	linkLocal
)

// String describes an address of this reach.
func (r reach) String() string {
	switch r {
	case linkLocal:
		return "a link-local address"
	case private:
		return "a private address"
	case public:
		return "a public address"
	default:
		panic(fmt.Sprintf("internal error: reach %d", int(r)))
	}
}

// hint says how a host of this reach can be allowed, "" if it never is: see
// refuseLinkLocal.
func (r reach) hint() string {
	if r == linkLocal {
		return ""
	}
	return "if that host is meant, list it in RUNNER_INSECURE_REGISTRIES"
}

// reachOf judges a host by its spelling. A name that resolves to a private
// address passes, for that is how registries inside a company are found; but see
// refuseLinkLocal.
func reachOf(host string) reach {
	if isLocalhost(host) {
		return private
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return public
	}
	addr = addr.Unmap()
	switch {
	case addr.IsLinkLocalUnicast(), addr.IsMulticast():
		return linkLocal
	case addr.IsPrivate(), addr.IsLoopback(), addr.IsUnspecified():
		return private
	default:
		return public
	}
}

// refuseLinkLocal is a net.Dialer.Control. Clouds keep the service that gives
// out a machine's credentials at a link-local address, and no registry or proxy
// lives there, so that not even a DNS name may lead to it.
func refuseLinkLocal(_, address string, _ syscall.RawConn) error {
	if reachOf(hostname(address)) == linkLocal {
		return refusal(fmt.Sprintf("a connection to %s, a link-local address, is refused", address))
	}
	return nil
}

func isLocalhost(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return isLocalhost(host) || err == nil && addr.Unmap().IsLoopback()
}

// hosts is a set of hosts, each with a port or for all ports.
type hosts map[string]bool

func parseHosts(list []string) (hosts, error) {
	set := hosts{}
	for _, host := range list {
		u, err := url.Parse("//" + host)
		if err != nil || u.Host != host || host == "" {
			return nil, fmt.Errorf("cannot allow plain HTTP for %q: not a host or host:port", host)
		}
		set[strings.ToLower(host)] = true
	}
	return set, nil
}

// contain reports whether the set has a host, as host or host:port.
func (h hosts) contain(hostport string) bool {
	hostport = strings.ToLower(hostport)
	bare := hostname(hostport)
	return h[hostport] || h[bare] || h["["+bare+"]"]
}

func (h hosts) plainAllowed(hostport string) bool {
	return isLoopback(hostname(hostport)) || h.contain(hostport)
}

// hostname returns the host of host, host:port, [v6] or [v6]:port.
func hostname(hostport string) string {
	if host, _, err := net.SplitHostPort(hostport); err == nil {
		return host
	}
	return strings.Trim(hostport, "[]")
}
