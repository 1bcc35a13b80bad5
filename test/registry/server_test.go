// Package registry_test holds the registry room against a registry that is not
// ours: CNCF distribution, as Debian packages it in docker-registry.
package registry_test

import (
	"bufio"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"
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

// listening is how distribution says at which port the kernel has put it.
var listening = regexp.MustCompile(`listening on (127\.0\.0\.1:\d+)`)

// start starts a registry with settings beside the common ones, and stops it when
// the test ends.
func start(t *testing.T, settings []string) (address string) {
	t.Helper()
	program, err := exec.LookPath("docker-registry")
	if err != nil {
		t.Skip("needs Debian's package docker-registry")
	}
	dir := t.TempDir()
	config := filepath.Join(dir, "config.yml")
	write(t, config, fmt.Appendf(nil, configuration, filepath.Join(dir, "data")))
	cmd := exec.Command(program, "serve", config)
	cmd.Env = settings
	output, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	found := make(chan string, 1)
	go findAddress(output, found)
	t.Cleanup(func() {
		if err := cmd.Process.Kill(); err != nil {
			t.Error(err)
		}
		for range found { // Closed at the end of the output.
		}
		_ = cmd.Wait() // It says that we killed it.
	})
	address, ok := <-found
	if !ok {
		t.Fatal("docker-registry ended before it listened")
	}
	return address
}

// configuration is what does not vary; the kernel chooses the port.
const configuration = `
version: 0.1
log: {level: info, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: %q}}
http: {addr: "127.0.0.1:0"}
`

// findAddress finds the address in what a registry logs, and reads on to the end.
func findAddress(output io.Reader, found chan<- string) {
	defer close(found)
	for lines := bufio.NewScanner(output); lines.Scan(); {
		if m := listening.FindStringSubmatch(lines.Text()); m != nil {
			found <- m[1]
		}
	}
}
