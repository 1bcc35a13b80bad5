package registry

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"mime"
	"net"
	"net/http"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/drengskapur/fastmcp-runner/internal/hint"
	"github.com/drengskapur/fastmcp-runner/internal/image"
)

// Error is what every error of Resolve, Layer.Open and layer streams is or
// wraps: what could not be done, to what, and why. What may help is its hint.
type Error struct {
	// Op is the verb, such as "resolve".
	Op string
	// Object is what the verb was about, such as the reference.
	Object string
	// Err is the cause.
	Err error
}

// Error returns "cannot OP OBJECT: CAUSE".
func (e *Error) Error() string {
	return fmt.Sprintf("cannot %s %s: %v", e.Op, e.Object, e.Err)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

const (
	plainHTTPHint = "plain HTTP is for loopback and for the hosts in RUNNER_INSECURE_REGISTRIES"
	pageHint      = "no registry answers with a web page: check the host in IMAGE, and whether a proxy or a network's login page answers in its place"
)

// hintFor returns what may help against err, for one who is known to the
// registry or asks anonymously.
func hintFor(err error, anonymous bool) string {
	if known := hint.Of(err); known != "" {
		return known
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return "if the registry has a private CA, give its certificate in RUNNER_CA_FILE"
	}
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok && invalid.Reason == x509.Expired {
		return clockHint(invalid.Cert, time.Now())
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return fmt.Sprintf("check the name %q; if it is right, this container's resolver (/etc/resolv.conf) does not know it or does not answer", image.Abbreviate(dns.Name))
	}
	if isNoTLS(err) {
		return plainHTTPHint
	}
	status, ok := errors.AsType[*statusError](err)
	switch {
	case !ok:
		return ""
	case status.code >= http.StatusInternalServerError:
		return "the trouble is that of whoever answers so, the registry or a proxy: start again later, or tell its operator"
	case status.page && status.code != http.StatusUnauthorized && status.code != http.StatusTooManyRequests:
		return pageHint
	case status.denied() && anonymous:
		return "private images need REGISTRY_USER and REGISTRY_PASSWORD"
	case status.denied():
		return "check the user name and the password or token, and that they may pull this image"
	case status.code == http.StatusTooManyRequests && anonymous:
		return "registries allow more to known users: set REGISTRY_USER and REGISTRY_PASSWORD"
	default:
		return ""
	}
}

// clockHint says what a certificate that has expired, or is not valid yet, and
// this machine's clock disagree about.
func clockHint(cert *x509.Certificate, now time.Time) string {
	date := func(t time.Time) string { return t.UTC().Format(time.RFC3339) }
	return fmt.Sprintf("this machine's clock says %s, and the certificate is valid from %s to %s: set the clock, or have the certificate renewed",
		date(now), date(cert.NotBefore), date(cert.NotAfter))
}

// isPage reports whether an answer is a web page: nothing that a registry keeps
// is of that type and begins so.
func isPage(h http.Header, body []byte) bool {
	return mediaTypeOf(h.Get("Content-Type")) == "text/html" && bytes.HasPrefix(bytes.TrimLeft(body, "\ufeff \t\r\n"), []byte("<"))
}

func pageError(who string) error {
	return hint.Add(errors.New(who+" answers with a web page"), pageHint)
}

// mediaTypeOf ignores a Content-Type that is missing or malformed: the document
// speaks for itself.
func mediaTypeOf(contentType string) types.MediaType {
	mediaType, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return ""
	}
	return types.MediaType(mediaType)
}
