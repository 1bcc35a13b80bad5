// Package registry has the images that lie at registries.
//
// A reference is resolved once: its manifest, config and layers follow from one
// digest. Broken connections are resumed, busy registries waited for, and
// credentials sent to nobody but the registry that the reference names and its
// token server.
//
// The package knows nothing of this program's configuration and writes nothing
// to disk. References and manifest types are those of go-containerregistry;
// requests are its own, because go-containerregistry can neither resume a blob
// nor honour Retry-After, and refuses token servers on private addresses even
// to a registry that is itself on one.
package registry

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"time"
)

// MaxTokenBytes bounds the answer of a token server, which is read into memory.
const MaxTokenBytes = 1 << 20

// What the zero Options have.
const (
	DefaultStallTimeout = 30 * time.Second
	DefaultRetryDelay   = 250 * time.Millisecond
)

// Options say how to reach registries. The zero value is anonymous, trusts the
// system's roots, uses no proxy and logs nothing.
type Options struct {
	// Credentials are for the registry of the reference. When they are zero,
	// DockerConfigs are asked, and then the registry is asked anonymously.
	Credentials Credentials
	// DockerConfigs are asked in their order; the first that knows the registry
	// wins.
	DockerConfigs []DockerConfig
	// Environ is the environment of the credential helpers that DockerConfigs
	// name; its PATH finds them. When it is empty, no helper is found.
	Environ []string
	// Insecure lists the hosts, each "host" for all its ports or "host:port",
	// that may be spoken to in plain HTTP. Loopback always may. HTTPS is tried
	// first, and its certificates are verified everywhere.
	Insecure []string
	// RootCAs holds PEM certificates that are trusted besides the system's.
	RootCAs []byte
	// Proxy returns the proxy for a URL, or nil for none.
	Proxy func(*url.URL) (*url.URL, error)
	// Dial opens connections; nil dials the network, except link-local
	// addresses.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// UserAgent introduces the program to registries.
	UserAgent string
	// StallTimeout is how long a connection may stay silent before it counts as
	// broken; zero is DefaultStallTimeout.
	StallTimeout time.Duration
	// RetryDelay is the pause before a thing is tried a second time; each
	// further pause is four times as long. Zero is DefaultRetryDelay.
	RetryDelay time.Duration
	// Ranges says when a large layer is fetched by several requests at once.
	Ranges Ranges
	// Log tells what was retried and skipped; nil tells nobody.
	Log *slog.Logger
}

// Client resolves references. It is safe for concurrent use.
type Client struct {
	credentials Credentials
	configs     []dockerConfig
	environ     []string
	insecure    hosts
	transport   *http.Transport
	separate    *http.Transport // Without HTTP/2, so that each request under way has a connection.
	userAgent   string
	stall       time.Duration
	delay       time.Duration
	ranges      Ranges
	budget      *budget
	log         *slog.Logger
}

// New returns a Client. It contacts nobody.
func New(opts Options) (*Client, error) {
	opts.StallTimeout = cmp.Or(opts.StallTimeout, DefaultStallTimeout)
	opts.RetryDelay = cmp.Or(opts.RetryDelay, DefaultRetryDelay)
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	opts.Ranges = opts.Ranges.withDefaults()
	configs, err := parseDockerConfigs(opts.DockerConfigs)
	if err != nil {
		return nil, err
	}
	insecure, err := parseHosts(opts.Insecure)
	if err != nil {
		return nil, err
	}
	roots, err := rootCAs(opts.RootCAs)
	if err != nil {
		return nil, err
	}
	return &Client{
		credentials: opts.Credentials,
		configs:     configs,
		environ:     opts.Environ,
		insecure:    insecure,
		transport:   newTransport(opts, roots, protocols(true)),
		separate:    newTransport(opts, roots, protocols(false)),
		userAgent:   opts.UserAgent,
		stall:       opts.StallTimeout,
		delay:       opts.RetryDelay,
		ranges:      opts.Ranges,
		budget:      newBudget(opts.Ranges),
		log:         opts.Log,
	}, nil
}

// Close drops the connections that are kept for further requests. Layers that
// are being read are not touched.
func (c *Client) Close() {
	c.transport.CloseIdleConnections()
	c.separate.CloseIdleConnections()
}

// rootCAs returns the pool to verify servers with; nil is the system's.
func rootCAs(pem []byte) (*x509.CertPool, error) {
	if len(pem) == 0 {
		return nil, nil
	}
	pool, err := x509.SystemCertPool()
	if err != nil { // A base image may have no roots at all; then these are all there are.
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errors.New("cannot use the CA certificates: there is no PEM certificate in them")
	}
	return pool, nil
}

// newTransport returns a transport below the guards of all sessions. Each exchange
// has a watchdog of its own; the limits here end dials that go on in the background
// when their exchange has given up. It must not decompress, for digests are those
// of the bytes on the wire.
//
// Many exchanges share one connection of HTTP/2, also those that are to replace
// one that got silent. A connection that is dead itself is found out by pings, in
// less time than the watchdogs have.
func newTransport(opts Options, roots *x509.CertPool, protocols http.Protocols) *http.Transport {
	t := &http.Transport{
		DialContext:         opts.Dial,
		TLSClientConfig:     &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		Protocols:           &protocols,
		HTTP2:               &http.HTTP2Config{SendPingTimeout: opts.StallTimeout / 3, PingTimeout: opts.StallTimeout / 3},
		DisableCompression:  true,
		MaxIdleConnsPerHost: 8,
		IdleConnTimeout:     90 * time.Second,
		TLSHandshakeTimeout: opts.StallTimeout,
	}
	if t.DialContext == nil {
		t.DialContext = (&net.Dialer{Timeout: opts.StallTimeout, Control: refuseLinkLocal}).DialContext
	}
	if opts.Proxy != nil {
		t.Proxy = func(req *http.Request) (*url.URL, error) { return opts.Proxy(req.URL) }
	}
	return t
}

// protocols are HTTP/1.1 and, if that is wanted, HTTP/2.
func protocols(http2 bool) http.Protocols {
	var p http.Protocols
	p.SetHTTP1(true)
	p.SetHTTP2(http2)
	return p
}
