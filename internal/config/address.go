package config

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// port is a TCP port.
type port uint16

func (p *port) UnmarshalText(text []byte) (err error) {
	*p, err = parsePort(string(text))
	return err
}

// host is an IP address or a host name, without a port.
type host string

func (h *host) UnmarshalText(text []byte) error {
	s := string(text)
	if _, err := netip.ParseAddr(s); err != nil && !hostGrammar.MatchString(strings.ToLower(s)) {
		return errors.New("not an IP address or host name, such as 0.0.0.0, ::1 or localhost")
	}
	*h = host(s)
	return nil
}

// urlPath is an absolute URL path, escaped as in a request.
type urlPath string

func (u *urlPath) UnmarshalText(text []byte) error {
	if strings.Contains(string(text), "?") {
		return errors.New("a path has no query")
	}
	if err := checkTarget(string(text)); err != nil {
		return err
	}
	*u = urlPath(text)
	return nil
}

// healthTarget is an absolute URL path that a query may follow.
type healthTarget string

func (h *healthTarget) UnmarshalText(text []byte) error {
	if err := checkTarget(string(text)); err != nil {
		return err
	}
	*h = healthTarget(text)
	return nil
}

// checkTarget checks what RFC 9112, section 3.2.1, calls the origin form of a
// request's target.
func checkTarget(s string) error {
	if !strings.HasPrefix(s, "/") {
		return errors.New("not an absolute URL path: it begins with /")
	}
	if i := strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || r == '#' }); i >= 0 {
		return fmt.Errorf("a URL path does not hold %q: percent-encode it", []rune(s[i:])[0])
	}
	if _, err := url.ParseRequestURI(s); err != nil {
		return errors.New("not a URL path: a % stands before two hexadecimal digits")
	}
	return nil
}

// hosts is a comma list of registry hosts, made lower case.
type hosts []string

func (h *hosts) UnmarshalText(text []byte) error {
	var list commaList
	if err := list.UnmarshalText(text); err != nil {
		return err
	}
	for _, item := range list {
		lower := strings.ToLower(item)
		if !isHostPort(lower) {
			return fmt.Errorf("%s is not a registry host, as host or host:port", show(item))
		}
		*h = append(*h, lower)
	}
	return nil
}

// proxyURL is the address of a proxy, in the forms that net/http takes.
type proxyURL string

func (p *proxyURL) UnmarshalText(text []byte) error {
	// As in golang.org/x/net/http/httpproxy, which takes no notice of a wrong
	// address and goes without a proxy.
	address := string(text)
	if !strings.Contains(address, "://") {
		address = "http://" + address
	}
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" {
		return errors.New("not the address of a proxy, such as http://proxy.example:3128")
	}
	if !slices.Contains([]string{"http", "https", "socks5", "socks5h"}, u.Scheme) {
		return errors.New("the scheme of a proxy is http, https, socks5 or socks5h")
	}
	*p = proxyURL(text)
	return nil
}

// isHostPort reports whether s is a lower-case host name, an IPv4 address or
// an IPv6 address in brackets, with or without a port.
func isHostPort(s string) bool {
	host, portText := s, ""
	if colon := strings.LastIndex(s, ":"); colon > strings.LastIndex(s, "]") {
		host, portText = s[:colon], s[colon+1:]
		if _, err := parsePort(portText); err != nil {
			return false
		}
	}
	if inner, ok := strings.CutPrefix(host, "["); ok {
		inner, ok = strings.CutSuffix(inner, "]")
		addr, err := netip.ParseAddr(inner)
		return ok && err == nil && addr.Is6() && addr.Zone() == ""
	}
	return hostGrammar.MatchString(host)
}

// parsePort reads a port number.
func parsePort(s string) (port, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n == 0 {
		return 0, errors.New("not a number from 1 to 65535")
	}
	return port(n), nil
}
