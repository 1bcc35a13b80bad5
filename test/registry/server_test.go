// Package registry_test holds the registry room against a registry that is not
// ours: CNCF distribution, as Debian packages it in docker-registry.
package registry_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/drengskapur/fastmcp-runner/test/daemon"
)

// user and password are whom both registries let in.
const (
	user         = "alice"
	password     = "s3cr3t-passw0rd"
	passwordHash = "$2a$04$vsPSC2jFQDgaoHsDj6Y93O.HXlIdXBI7vwUMQs8rrUOrR0upG7RMO" // bcrypt
)

// pair is a key with its certificate, as objects and as files.
type pair struct {
	cert              *x509.Certificate
	key               *rsa.PrivateKey
	certFile, keyFile string
}

// newPair makes a certificate for 127.0.0.1 that is its own CA.
func newPair(t *testing.T) *pair {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "Private CA"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(time.Hour),
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	p := &pair{cert: cert, key: key, certFile: filepath.Join(dir, "cert.pem"), keyFile: filepath.Join(dir, "key.pem")}
	write(t, p.certFile, p.pem())
	write(t, p.keyFile, pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))
	return p
}

func (p *pair) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.cert.Raw})
}

// transport trusts the certificate.
func (p *pair) transport(t *testing.T) *http.Transport {
	t.Helper()
	pool := x509.NewCertPool()
	pool.AddCert(p.cert)
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}

func write(t *testing.T, name string, content []byte) {
	t.Helper()
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// startWithPasswords starts a registry that asks for a password, over TLS.
func startWithPasswords(t *testing.T) (address string, ca *pair) {
	t.Helper()
	ca = newPair(t)
	htpasswd := filepath.Join(t.TempDir(), "htpasswd")
	write(t, htpasswd, fmt.Appendf(nil, "%s:%s\n", user, passwordHash))
	return start(t, []string{
		"REGISTRY_HTTP_TLS_CERTIFICATE=" + ca.certFile,
		"REGISTRY_HTTP_TLS_KEY=" + ca.keyFile,
		"REGISTRY_AUTH=htpasswd",
		"REGISTRY_AUTH_HTPASSWD_REALM=test",
		"REGISTRY_AUTH_HTPASSWD_PATH=" + htpasswd,
	}), ca
}

// startWithTokens starts a registry that asks for tokens of our server.
func startWithTokens(t *testing.T) (address string) {
	t.Helper()
	tokens := startTokenServer(t)
	return start(t, []string{
		"REGISTRY_AUTH=token",
		"REGISTRY_AUTH_TOKEN_REALM=" + tokens.realm,
		"REGISTRY_AUTH_TOKEN_SERVICE=" + service,
		"REGISTRY_AUTH_TOKEN_ISSUER=" + issuer,
		"REGISTRY_AUTH_TOKEN_ROOTCERTBUNDLE=" + tokens.signer.certFile,
	})
}

// start starts a registry with settings beside the common ones, and stops it when
// the test ends.
func start(t *testing.T, settings []string) (address string) {
	t.Helper()
	if _, err := exec.LookPath(daemon.RegistryProgram); err != nil {
		t.Skip("needs Debian's package docker-registry")
	}
	d, address, err := daemon.StartRegistry(t.Context(), t.TempDir(), "", settings...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Stop(); err != nil {
			t.Error(err)
		}
	})
	return address
}
