package bridge_test

import (
	"context"
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/drengskapur/fastmcp-runner/internal/bridge"
)

const helloParams = `{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"test","version":"1"}}`

func TestAnIDThatIsTooOldIsUnknown(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	const idle = 30 * time.Minute
	for _, tt := range []struct {
		name      string
		made, now time.Duration // since the start
		want      bool
	}{
		{"the client comes at once", -time.Minute, time.Second, false},
		{"it has a long session behind it", -20 * time.Hour, 29 * time.Minute, false},
		{"it was idle since the start", -time.Minute, idle, true},
		{"the id is of a bridge beside this one", 5 * time.Hour, 5*time.Hour + time.Minute, false},
		{"the id is of a bridge beside this one, and was idle", 5 * time.Hour, 5*time.Hour + idle, true},
		{"the id is a day old", -24 * time.Hour, 0, true},
		{"the clock was set back", time.Hour, 0, false},
	} {
		if got := bridge.IsStale(start, start.Add(tt.made), start.Add(tt.now), idle); got != tt.want {
			t.Errorf("%s: refused: %t, want %t", tt.name, got, tt.want)
		}
	}
}

func TestASignedSessionComesBackWhileItCan(t *testing.T) {
	t.Parallel()
	key := []byte("a key of the operator")
	now := time.Now()
	// This is how ids of the first format were made, which says no time.
	first := "s1." + base64.RawURLEncoding.EncodeToString([]byte(strings.Repeat("m", 48)+helloParams))
	for _, tt := range []struct {
		name, id string
		want     int
	}{
		{"made an hour ago", bridge.SignedID(key, helloParams, now.Add(-time.Hour)), http.StatusOK},
		{"made a day ago", bridge.SignedID(key, helloParams, now.Add(-24*time.Hour)), http.StatusNotFound},
		{"made with another key", bridge.SignedID([]byte("another key"), helloParams, now), http.StatusNotFound},
		{"made in the first format", first, http.StatusNotFound},
		{"too long", bridge.SignedID(key, helloParams, now) + strings.Repeat("A", 3<<10), http.StatusNotFound},
	} {
		h := open(t, func(opts *bridge.Options) { opts.SessionKey = key })
		got := h.client(t).with("Mcp-Session-Id", tt.id).post(call("1", "echo", "{}"))
		if got.status != tt.want {
			t.Errorf("an id %s: %d %s, want %d", tt.name, got.status, got.body, tt.want)
		}
	}
}

// With the key as well, a session that was idle for too long has ended.
func TestAnIdleSignedSessionStaysGone(t *testing.T) {
	t.Parallel()
	h := open(t, func(opts *bridge.Options) { opts.SessionKey, opts.Idle = []byte("a key"), 100*time.Millisecond })
	c := h.begin(t, "2025-11-25")
	eventually(t, "the session ends", func() bool { return h.Health().Sessions == 0 })
	c.wants(http.StatusNotFound, call("1", "echo", "{}"))
}

// What a client has ended, a bridge that starts later cannot know to be ended.
// It does know when nobody has come for the idle time.
func TestAnEndedSignedSessionComesBackForTheIdleTimeAtMost(t *testing.T) {
	t.Parallel()
	signed := func(opts *bridge.Options) { opts.SessionKey, opts.Idle = []byte("a key"), time.Second }
	old := open(t, signed)
	c := old.begin(t, "2025-11-25")
	c.send(http.MethodDelete, "")
	c.wants(http.StatusNotFound, call("1", "echo", "{}"))
	old.Shutdown(context.Background())
	h := open(t, signed)
	started := time.Now()
	eventually(t, "the idle time is over", func() bool { return time.Since(started) > time.Second })
	c.url = h.url + "/mcp"
	c.wants(http.StatusNotFound, call("1", "echo", "{}"))
}

// FuzzSessionID reads ids as clients may make them up: only what was made with
// the key is one, to the letter, and carries what it was made of. The nonces
// differ from process to process, so that it does not compare ids.
func FuzzSessionID(f *testing.F) {
	key := []byte("a key of the operator")
	made := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	right := bridge.SignedID(key, helloParams, made)
	for _, id := range []string{
		"", right, right + "A", right[1:], right[:len(right)-1], strings.ToLower(right), right + "\n", "s1." + right,
		bridge.SignedID(nil, helloParams, made), bridge.SignedID([]byte("another key"), helloParams, made),
		bridge.SignedID(key, "", made), bridge.SignedID(key, strings.Repeat("x", 3<<10), made),
	} {
		f.Add(id)
	}
	f.Fuzz(func(t *testing.T, id string) {
		at, params, ok := bridge.OpenID(key, id)
		if !ok {
			return
		}
		if !at.Equal(made) || params != helloParams && params != "" {
			t.Fatalf("%q carries %v and %q, which nobody has signed", id, at, params)
		}
		for i := range id {
			other := []byte(id)
			other[i] ^= 1
			if _, _, ok := bridge.OpenID(key, string(other)); ok {
				t.Fatalf("%q is good, and so is %q", id, other)
			}
		}
	})
}
