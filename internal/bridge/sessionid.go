package bridge

import (
	"bytes"
	"compress/flate"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"strings"
)

const (
	// maxSignedID bounds the header that a signed id makes: proxies take
	// headers of 4 to 8 KiB in all.
	maxSignedID = 2 << 10
	// maxParams bounds what an id unfolds to.
	maxParams   = 64 << 10
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
	var body bytes.Buffer
	nonce := make([]byte, nonceBytes)
	rand.Read(nonce) // never fails (crypto/rand)
	body.Write(nonce)
	deflate(&body, params)
	id := signedStart + base64.RawURLEncoding.EncodeToString(append(s.mac(body.Bytes()), body.Bytes()...))
	if len(id) > maxSignedID || len(params) > maxParams {
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
	params, err := io.ReadAll(flate.NewReader(bytes.NewReader(body[nonceBytes:])))
	return params, err == nil
}

func (s signer) mac(body []byte) []byte {
	h := hmac.New(sha256.New, s.key)
	h.Write([]byte("fastmcp-runner session 1\x00"))
	h.Write(body)
	return h.Sum(nil)
}

// deflate writes text compressed to memory, which does not fail.
func deflate(to *bytes.Buffer, text []byte) {
	w, err := flate.NewWriter(to, flate.BestCompression)
	if err != nil {
		panic("internal error: " + err.Error())
	}
	if _, err := w.Write(text); err != nil {
		panic("internal error: " + err.Error())
	}
	if err := w.Close(); err != nil {
		panic("internal error: " + err.Error())
	}
}
