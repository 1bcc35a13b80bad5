// Package healthcheck asks a server once whether it is well, and says why not.
// It knows nothing of the runner: not who started the server, nor when.
package healthcheck

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/drengskapur/fastmcp-runner/internal/hint"
)

const (
	// DefaultTimeout is how long a whole check may take unless the Target
	// says otherwise. Container engines kill the check after 5 seconds in our
	// images; before that, it says why it failed.
	DefaultTimeout = 4 * time.Second

	maxRedirects   = 10
	maxHeaderBytes = 64 << 10
	shownBodyBytes = 200
)

// Target says what to ask.
type Target struct {
	// Host is the address that the server was told to listen on. An empty or
	// unspecified one (0.0.0.0, ::) is asked on the loopback.
	Host string
	// Port is the server's TCP port.
	Port int
	// Path is the URL path to ask for, with a query if need be.
	Path string
	// Timeout bounds the whole check; zero means DefaultTimeout.
	Timeout time.Duration
}

// Error says what was asked and why the answer is not that of a healthy
// server.
type Error struct {
	text string
	err  error
}

func (e *Error) Error() string { return e.text }

// Unwrap returns why there was no answer; nil if there was one.
func (e *Error) Unwrap() error { return e.err }

// Check asks once by GET. The server is healthy if it answers with a status of
// 200 to 399. A redirect to the same host is followed and its answer counts; a
// redirect elsewhere is not followed, and is a healthy answer by itself. No
// proxy is used. The error is an *Error, perhaps with a hint, or joins one for each
// address asked.
func Check(ctx context.Context, target Target) error {
	timeout := target.Timeout
	if timeout == 0 {
		timeout = DefaultTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var errs []error
	for _, host := range hosts(target.Host) {
		err := ask(ctx, "http://"+net.JoinHostPort(host, strconv.Itoa(target.Port))+target.Path, timeout)
		if err == nil {
			return nil
		}
		errs = append(errs, err)
		if !isDial(err) || ctx.Err() != nil {
			break // the server was reached, or there is no time left
		}
	}
	return errors.Join(errs...)
}

// isDial reports whether no connection came about.
func isDial(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}

// hosts returns the addresses to try for a server that listens on host. Who
// listens on all addresses may do so in one of the IP versions only.
func hosts(host string) []string {
	if addr, err := netip.ParseAddr(host); host == "" || err == nil && addr.IsUnspecified() {
		return []string{"127.0.0.1", "::1"}
	}
	return []string{strings.ReplaceAll(host, "%", "%25")} // the zone of an IPv6 address in a URL (RFC 6874)
}

// ask asks one URL.
func ask(ctx context.Context, address string, timeout time.Duration) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return noAnswer(address, timeout, err)
	}
	request.Header.Set("User-Agent", "fastmcp-runner-healthcheck")
	response, err := newClient(request.URL.Host).Do(request)
	if err != nil {
		return noAnswer(address, timeout, err)
	}
	defer response.Body.Close() //nolint:errcheck // nothing was written and the answer is known
	if response.StatusCode >= http.StatusOK && response.StatusCode < http.StatusBadRequest {
		return nil
	}
	text := fmt.Sprintf("%s answered %s", address, response.Status)
	if line := firstLine(response.Body); line != "" {
		text += fmt.Sprintf(": %q", line)
	}
	return hint.Add(&Error{text: text}, hintForStatus(response.StatusCode))
}

// hintForStatus says what may help against an answer.
func hintForStatus(status int) string {
	switch status {
	case http.StatusNotFound:
		return "set HEALTHCHECK_PATH to a path that the server answers"
	case http.StatusUnauthorized, http.StatusForbidden:
		return "set HEALTHCHECK_PATH to a path that needs no login"
	default:
		return ""
	}
}

// newClient returns a client that stays on one host. Its transport is its own:
// the default one uses the proxies of the process's environment.
func newClient(host string) *http.Client {
	return &http.Client{
		Transport: &http.Transport{DisableKeepAlives: true, MaxResponseHeaderBytes: maxHeaderBytes},
		CheckRedirect: func(next *http.Request, via []*http.Request) error {
			switch {
			case next.URL.Host != host || next.URL.Scheme != "http":
				return http.ErrUseLastResponse
			case len(via) >= maxRedirects:
				return fmt.Errorf("more than %d redirects", maxRedirects)
			default:
				return nil
			}
		},
	}
}

// noAnswer says why there was no answer, without the URL and the addresses
// that the standard library puts before the cause.
func noAnswer(address string, timeout time.Duration, err error) error {
	cause := err
	if urlErr, ok := errors.AsType[*url.Error](cause); ok {
		cause = urlErr.Err
	}
	if errno, ok := errors.AsType[syscall.Errno](cause); ok {
		cause = errno
	}
	text := fmt.Sprintf("cannot ask %s: %v", address, cause)
	if errors.Is(err, context.DeadlineExceeded) {
		text = fmt.Sprintf("%s gave no answer within %s", address, timeout)
	}
	return hint.Add(&Error{text: text, err: err}, hintForSilence(err))
}

// hintForSilence says what may help where there was no answer.
func hintForSilence(err error) string {
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "the server does not listen there (yet): it should listen on the address HOST and the port PORT of its environment"
	case errors.Is(err, context.DeadlineExceeded):
		return "the server is busy or hangs"
	default:
		return ""
	}
}

// firstLine returns the beginning of an answer's text. The status has already
// told what matters, so an error while reading only makes it shorter.
func firstLine(body io.Reader) string {
	start, _ := io.ReadAll(io.LimitReader(body, shownBodyBytes))
	line, _, _ := strings.Cut(strings.TrimSpace(string(start)), "\n")
	return strings.TrimSpace(line)
}
