package bridge

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"time"
)

const (
	// keyOfIDs is what the key is for.
	keyOfIDs = "fastmcp-runner session id"
	// maxSignedID bounds the header that a signed id makes: proxies take
	// headers of 4 to 8 KiB in all.
	maxSignedID = 3 << 10
	// maxIDAge is how old a signed id may be to open its session anew.
	maxIDAge = 24 * time.Hour

	// formatOfID is the first byte of a signed id. Another one says that more
	// follows, such as whose the session is and where, or less: ids of other
	// formats are unknown.
	formatOfID = 2
	madeBytes  = 8
	nonceBytes = 16
	headOfID   = 1 + madeBytes + nonceBytes
	minIDBytes = headOfID + sha256.Size
)

// signer makes session ids. With a key, an id carries when it was made and the
// parameters of the initialize request, signed, so that a bridge that has
// never seen the session can open it anew: format, seconds since 1970, nonce,
// parameters, and the MAC of all that.
//
// An id is the same as long as the session is: clients take another one for a
// mistake. So it cannot carry when its client came last.
type signer struct{ key []byte }

// newSigner returns a signer; without a secret, ids carry nothing.
func newSigner(secret []byte) signer {
	if len(secret) == 0 {
		return signer{}
	}
	return signer{deriveKey(secret, keyOfIDs)}
}

// deriveKey returns a key for one use from a secret for several (RFC 5869). Of
// one key nothing can be learnt about those for other uses.
func deriveKey(secret []byte, use string) []byte {
	key, err := hkdf.Key(sha256.New, secret, nil, use, sha256.Size)
	if err != nil {
		panic("internal error: " + err.Error()) // only if the key were too long
	}
	return key
}

// newID returns an id that nobody can guess, of visible ASCII characters.
func (s signer) newID(params []byte, made time.Time) string {
	if s.key == nil || base64.RawURLEncoding.EncodedLen(minIDBytes+len(params)) > maxSignedID {
		return rand.Text() // does not survive a restart, but works until then
	}
	body := make([]byte, 0, minIDBytes+len(params))
	body = append(body, formatOfID)
	body = binary.BigEndian.AppendUint64(body, uint64(made.Unix())) //nolint:gosec // after 1970
	body = body[:headOfID]
	rand.Read(body[1+madeBytes:]) // never fails (crypto/rand)
	body = append(body, params...)
	return base64.RawURLEncoding.EncodeToString(append(body, s.mac(body)...))
}

// sealed is what a signed id carries.
type sealed struct {
	made   time.Time
	params []byte
}

// open returns what an id carries, if it is one of ours.
func (s signer) open(id string) (sealed, bool) {
	if s.key == nil || len(id) > maxSignedID {
		return sealed{}, false
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(id)
	if err != nil || len(raw) < minIDBytes {
		return sealed{}, false
	}
	body, mac := raw[:len(raw)-sha256.Size], raw[len(raw)-sha256.Size:]
	if body[0] != formatOfID || !hmac.Equal(mac, s.mac(body)) {
		return sealed{}, false
	}
	made := int64(binary.BigEndian.Uint64(body[1:])) //nolint:gosec // as it was made
	return sealed{time.Unix(made, 0), body[headOfID:]}, true
}

func (s signer) mac(body []byte) []byte {
	h := hmac.New(sha256.New, s.key)
	h.Write(body)
	return h.Sum(nil)
}

// isStale says whether the client of a session that this bridge does not know
// must have been idle for too long, or whether the id is too old. Of what was
// before the start of the bridge it knows nothing; since then the client has
// not come.
func (b *Bridge) isStale(id sealed, now time.Time) bool {
	known := b.started
	if id.made.After(known) {
		known = id.made // by another bridge with the same key
	}
	return now.Sub(known) >= b.opts.Idle || now.Sub(id.made) >= maxIDAge
}
