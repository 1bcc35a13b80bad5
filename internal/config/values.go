package config

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Transport is the transport that an MCP server speaks.
type Transport string

// The transports that a server may speak.
const (
	StreamableHTTP Transport = "streamable-http"
	SSE            Transport = "sse"
)

// UnmarshalText accepts the names of the transports.
func (t *Transport) UnmarshalText(text []byte) error {
	return oneOf(t, string(text), StreamableHTTP, SSE)
}

// Mode is a way to run an image.
type Mode string

// ModeAllowlist takes application directories from an image and borrows the
// rest from the runner's own system.
const ModeAllowlist Mode = "allowlist"

// UnmarshalText accepts the names of the modes.
func (m *Mode) UnmarshalText(text []byte) error { return oneOf(m, string(text), ModeAllowlist) }

// LogFormat is the form of the log.
type LogFormat string

// The forms of the log.
const (
	FormatText LogFormat = "text"
	FormatJSON LogFormat = "json"
)

// UnmarshalText accepts the names of the forms.
func (f *LogFormat) UnmarshalText(text []byte) error {
	return oneOf(f, string(text), FormatText, FormatJSON)
}

// logLevel is the name of a level, in lower case.
type logLevel struct{ level slog.Level }

func (l *logLevel) UnmarshalText(text []byte) error {
	var s string
	if err := oneOf(&s, string(text), "debug", "info", "warn", "error"); err != nil {
		return err
	}
	return l.level.UnmarshalText(text)
}

// oneOf sets dst to s if that is one of the choices.
func oneOf[T ~string](dst *T, s string, choices ...T) error {
	if slices.Contains(choices, T(s)) {
		*dst = T(s)
		return nil
	}
	names := make([]string, len(choices))
	for i, choice := range choices {
		names[i] = string(choice)
	}
	return fmt.Errorf("not one of %s", strings.Join(names, ", "))
}

// reference is an image reference.
type reference struct {
	ref     name.Reference
	warning string
}

func (r *reference) UnmarshalText(text []byte) (err error) {
	r.ref, r.warning, err = ParseReference(string(text))
	return err
}

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

// credential is half of what HTTP Basic authentication sends.
type credential string

func (c *credential) UnmarshalText(text []byte) error {
	if err := checkCredential(string(text)); err != nil {
		return err
	}
	*c = credential(text)
	return nil
}

// checkCredential refuses what RFC 7617, section 2, does.
func checkCredential(s string) error {
	if strings.ContainsFunc(s, unicode.IsControl) {
		return errors.New("holds a control character, perhaps a line break at its end")
	}
	return nil
}

// filename names a file; whether it can be read shows when it is.
type filename string

// absPath is an absolute file path.
type absPath string

func (a *absPath) UnmarshalText(text []byte) error {
	if !path.IsAbs(string(text)) {
		return errors.New("not an absolute path: it begins with /")
	}
	*a = absPath(text)
	return nil
}

// commaList is a list whose items commas separate; white space around an item
// and empty items mean nothing.
type commaList []string

func (c *commaList) UnmarshalText(text []byte) error {
	*c = nil
	for item := range strings.SplitSeq(string(text), ",") {
		if item = strings.TrimSpace(item); item != "" {
			*c = append(*c, item)
		}
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

// platform is the platform of an image, in the words of the OCI image index.
type platform struct{ platform *v1.Platform }

func (p *platform) UnmarshalText(text []byte) error {
	parts := strings.Split(string(text), "/")
	if len(parts) < 2 || len(parts) > 3 || parts[len(parts)-1] == "" {
		return errors.New("not os/arch or os/arch/variant, such as linux/amd64 or linux/arm64/v8")
	}
	if parts[0] != "linux" {
		return errors.New("the runner starts Linux programs only: the system is linux")
	}
	if !slices.Contains(architectures(), parts[1]) {
		return fmt.Errorf("the architecture is none of %s", strings.Join(architectures(), ", "))
	}
	p.platform = &v1.Platform{OS: parts[0], Architecture: parts[1]}
	if len(parts) == 3 {
		p.platform.Variant = parts[2]
	}
	return nil
}

// architectures are the names that the OCI image index has for the
// architectures of Linux: Go's.
func architectures() []string {
	return []string{
		"386", "amd64", "arm", "arm64", "loong64", "mips", "mips64", "mips64le", "mipsle",
		"ppc64", "ppc64le", "riscv64", "s390x",
	}
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

// User is a numeric user and group.
type User struct{ UID, GID uint32 }

// UnmarshalText reads "uid" or "uid:gid"; without a gid, the gid is the uid.
func (u *User) UnmarshalText(text []byte) error {
	uidText, gidText, hasGID := strings.Cut(string(text), ":")
	if !hasGID {
		gidText = uidText
	}
	uid, uidErr := parseID(uidText)
	gid, gidErr := parseID(gidText)
	if err := errors.Join(uidErr, gidErr); err != nil {
		return errors.New("not uid or uid:gid, in numbers from 0 to 4294967294")
	}
	*u = User{UID: uid, GID: gid}
	return nil
}

// String returns "uid:gid".
func (u User) String() string { return fmt.Sprintf("%d:%d", u.UID, u.GID) }

// parseID reads a uid or gid. The greatest 32-bit number is none: to setuid(2)
// and chown(2) it is -1, which means "leave as it is".
func parseID(s string) (uint32, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	if err == nil && n == 1<<32-1 {
		err = strconv.ErrRange
	}
	return uint32(n), err
}

// count is a positive number.
type count int64

func (c *count) UnmarshalText(text []byte) error {
	n, err := strconv.ParseUint(string(text), 10, 63)
	if err != nil || n == 0 {
		return errors.New("not a positive whole number")
	}
	*c = count(n)
	return nil
}
