package registry_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

const (
	service = "test registry"
	issuer  = "test issuer"
)

// tokenServer gives everybody the right to pull public images, and the user all
// rights: distribution, "Token Authentication Specification".
type tokenServer struct {
	realm  string
	signer *pair
}

func startTokenServer(t *testing.T) *tokenServer {
	t.Helper()
	s := &tokenServer{signer: newPair(t)}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	// By name: the client that pushes refuses realms on other ports of loopback
	// addresses. Ours does not; that is tested in its room.
	s.realm = strings.Replace(server.URL, "127.0.0.1", "localhost", 1) + "/token"
	return s
}

// ServeHTTP issues a token for the scopes that are asked for, as far as granted.
func (s *tokenServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name, pass, given := r.BasicAuth()
	if given && (name != user || pass != password) {
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = w.Write([]byte(`{"details":"incorrect username or password"}`))
		return
	}
	var rights []access
	for _, scope := range r.URL.Query()["scope"] {
		if a, ok := parseScope(scope); ok && (given || strings.HasPrefix(a.Name, "public/")) {
			rights = append(rights, a)
		}
	}
	token, err := s.issue(name, rights)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]string{"token": token})
}

type access struct {
	Type    string   `json:"type"`
	Name    string   `json:"name"`
	Actions []string `json:"actions"`
}

// parseScope reads TYPE:NAME:ACTION,ACTION.
func parseScope(scope string) (access, bool) {
	parts := strings.Split(scope, ":")
	if len(parts) != 3 {
		return access{}, false
	}
	return access{Type: parts[0], Name: parts[1], Actions: strings.Split(parts[2], ",")}, true
}

// issue signs a JSON Web Token (RFC 7519) with RS256; its header carries the
// certificate, as distribution 2.8 requires.
func (s *tokenServer) issue(subject string, rights []access) (string, error) {
	now := time.Now()
	header, err := segment(map[string]any{
		"typ": "JWT", "alg": "RS256",
		"x5c": []string{base64.StdEncoding.EncodeToString(s.signer.cert.Raw)},
	})
	if err != nil {
		return "", err
	}
	claims, err := segment(map[string]any{
		"iss": issuer, "sub": subject, "aud": service, "jti": rand.Text(),
		"iat": now.Unix(), "nbf": now.Add(-time.Minute).Unix(), "exp": now.Add(time.Minute).Unix(),
		"access": rights,
	})
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(header + "." + claims))
	signature, err := rsa.SignPKCS1v15(rand.Reader, s.signer.key, crypto.SHA256, sum[:])
	if err != nil {
		return "", err
	}
	return header + "." + claims + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}

func segment(members map[string]any) (string, error) {
	b, err := json.Marshal(members)
	return base64.RawURLEncoding.EncodeToString(b), err
}
