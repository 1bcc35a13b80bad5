package bridge

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"strings"
)

const (
	// maxSignedID bounds the header that a signed id makes: proxies take
	// headers of 4 to 8 KiB in all.
	maxSignedID = 3 << 10
	nonceBytes  = 16
	signedStart = "s1."
)

// signer makes session ids. With a key, an id carries the parameters of the
// initialize request, signed, so that a bridge that has never seen the session
// can open it anew.
type signer struct{ key []byte }

// newID returns an id that nobody can guess, of visible ASCII characters.
func (s signer) newID(params []byte) string {
	if len(s.key) == 0 {
		return rand.Text()
	}
	body := make([]byte, nonceBytes, nonceBytes+len(params))
	rand.Read(body) // never fails (crypto/rand)
	body = append(body, params...)
	id := signedStart + base64.RawURLEncoding.EncodeToString(append(s.mac(body), body...))
	if len(id) > maxSignedID {
		return rand.Text() // does not survive a restart, but works until then
	}
	return id
}

// params returns what an id carries, if it is one of ours.
func (s signer) params(id string) ([]byte, bool) {
	encoded, ok := strings.CutPrefix(id, signedStart)
	if !ok || len(s.key) == 0 || len(id) > maxSignedID {
		return nil, false
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	if err != nil || len(raw) < sha256.Size+nonceBytes {
		return nil, false
	}
	mac, body := raw[:sha256.Size], raw[sha256.Size:]
	if !hmac.Equal(mac, s.mac(body)) {
		return nil, false
	}
	return body[nonceBytes:], true
}

func (s signer) mac(body []byte) []byte {
	h := hmac.New(sha256.New, s.key)
	h.Write([]byte("fastmcp-runner session 1\x00"))
	h.Write(body)
	return h.Sum(nil)
}
