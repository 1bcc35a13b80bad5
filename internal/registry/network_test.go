package registry_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"
)

// network is a network in memory: names resolve without DNS, and in a synctest
// bubble its time is fake and every goroutine that outlives a test is an error.
type network struct {
	mu        sync.Mutex
	listeners map[string]*pipeListener
	dialled   []string
}

func newNetwork() *network {
	return &network{listeners: map[string]*pipeListener{}}
}

// dial is an Options.Dial.
func (n *network) dial(ctx context.Context, _, address string) (net.Conn, error) {
	n.mu.Lock()
	l, ok := n.listeners[address]
	n.dialled = append(n.dialled, address)
	n.mu.Unlock()
	if !ok {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	}
	up, down := newStream(), newStream()
	select {
	case l.conns <- &conn{in: up, out: down, address: l.Addr()}:
		return &conn{in: down, out: up, address: l.Addr()}, nil
	case <-l.closed:
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// reached reports whether anybody dialled the address.
func (n *network) reached(address string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Contains(n.dialled, address)
}

func (n *network) listen(t *testing.T, address string) net.Listener {
	t.Helper()
	l := &pipeListener{address: address, conns: make(chan net.Conn), closed: make(chan struct{})}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.listeners[address] = l
	return l
}

// serve answers plain HTTP at an address until the test ends.
func (n *network) serve(t *testing.T, address string, h http.Handler) {
	t.Helper()
	serveOn(t, n.listen(t, address), h)
}

// serveTLS answers HTTPS, with a certificate of the test CA, over HTTP/1.1 unless
// other protocols are given.
func (n *network) serveTLS(t *testing.T, address string, h http.Handler, protocols ...string) {
	t.Helper()
	n.serveTLSWith(t, address, forever(&x509.Certificate{}), h, protocols...)
}

// serveTLSWith does so with a certificate made of a template.
func (n *network) serveTLSWith(t *testing.T, address string, template *x509.Certificate, h http.Handler, protocols ...string) {
	t.Helper()
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{testCA().issue(t, host, template)}, NextProtos: protocols}
	serveOn(t, tls.NewListener(n.listen(t, address), config), h)
}

func serveOn(t *testing.T, l net.Listener, h http.Handler) {
	t.Helper()
	quiet := slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server := &http.Server{Handler: h, ErrorLog: quiet}
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
}

type pipeListener struct {
	address string
	conns   chan net.Conn
	closed  chan struct{}
	once    sync.Once
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return pipeAddr(l.address) }

type pipeAddr string

func (pipeAddr) Network() string  { return "pipe" }
func (a pipeAddr) String() string { return string(a) }

// authority is a private CA.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// testCA is made once, for all tests.
var testCA = sync.OnceValue(func() *authority {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	cert := selfSign(key)
	return &authority{cert: cert, key: key}
})

// forever covers the fake time of a bubble, which begins in the year 2000.
func forever(template *x509.Certificate) *x509.Certificate {
	template.NotBefore = time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC)
	template.NotAfter = time.Date(2190, 1, 1, 0, 0, 0, 0, time.UTC)
	return template
}

func selfSign(key *ecdsa.PrivateKey) *x509.Certificate {
	template := forever(&x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "Test CA"},
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign,
	})
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return cert
}

func (a *authority) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
}

func (a *authority) issue(t *testing.T, host string, template *x509.Certificate) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber = big.NewInt(2)
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	if ip := net.ParseIP(host); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{host}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// journal collects a log.
type journal struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.String()
}

func (j *journal) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(j, &slog.HandlerOptions{Level: slog.LevelDebug}))
}
