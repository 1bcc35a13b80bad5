package bridge_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/drengskapur/fastmcp-runner/internal/bridge"
)

// as returns further members of _meta by which a client says its name.
func as(name string) string {
	return `,"io.modelcontextprotocol/clientInfo":{"name":"` + name + `","version":"1"}`
}

// remembers calls a tool of a server that remembers the note of the last call
// before, and returns that.
func (c client) remembers(capabilities, name, note string) string {
	c.t.Helper()
	meta := ""
	if name != "" {
		meta = as(name)
	}
	c, body := c.askAs(capabilities, "1", "tools/call", meta,
		lines(`{"jsonrpc":"2.0","id":$ID,"result":{"note":"$NOTE"}}`)+`,"note":"`+note+`"`)
	var answer struct{ Result struct{ Note string } }
	if err := json.Unmarshal([]byte(c.wants(http.StatusOK, body).body), &answer); err != nil {
		c.t.Fatal(err)
	}
	return answer.Result.Note
}

// An older server takes whoever it talks to for one client, and may keep
// something of it: what one has told it, no other may read.
func TestStatelessClientsThatDifferShareNoOlderServer(t *testing.T) {
	t.Parallel()
	for _, capabilities := range []string{`{}`, `{"extensions":{"a/b":{}}}`, `{"elicitation":{}}`} {
		h := open(t, nil)
		c := h.stateless(t)
		for _, tt := range []struct {
			who          string
			client       client
			capabilities string
			name         string
		}{
			{"alice", c, capabilities, "alice"},
			{"bob", c, capabilities, "bob"},
			{"one without a name", c, capabilities, ""},
			{"another alice, with other capabilities", c, `{"roots":{},"experimental":{"x":{}}}`, "alice"},
			{"another alice, with credentials", c.with("Authorization", "Bearer hf_alice"), capabilities, "alice"},
			{"another alice, with other credentials", c.with("Authorization", "Bearer hf_other"), capabilities, "alice"},
			{"another alice, on a web page", c.with("Origin", "http://localhost:1"), capabilities, "alice"},
		} {
			if got := tt.client.remembers(tt.capabilities, tt.name, "secret of "+tt.who); got != "" {
				t.Errorf("%s: %s reads the %s", capabilities, tt.who, got)
			}
			if got := tt.client.remembers(tt.capabilities, tt.name, "secret of "+tt.who); got != "secret of "+tt.who {
				t.Errorf("%s: %s reads %q of its own", capabilities, tt.who, got)
			}
		}
	}
}

func TestSharingIsLoggedOnce(t *testing.T) {
	t.Parallel()
	const told = "Stateless clients share a process of the server"
	for _, tt := range []struct {
		name    string
		change  func(*bridge.Options)
		between string
	}{
		{"an older server", nil, "those that cannot be told apart"},
		{"an older server that is shared", func(opts *bridge.Options) { opts.Shared = true }, "those with the same capabilities"},
		{"a server of this revision", modern, "all of them"},
	} {
		h := open(t, tt.change)
		c := h.stateless(t)
		c.remembersAs(tt.name, "alice")
		if strings.Contains(h.log.String(), told) {
			t.Errorf("%s: told of a client that is alone", tt.name)
		}
		for range 3 {
			c.remembersAs(tt.name, "alice")
			c.remembersAs(tt.name, "bob")
		}
		if n := strings.Count(h.log.String(), told); n != 1 || !strings.Contains(h.log.String(), tt.between) {
			t.Errorf("%s: told %d times", tt.name, n)
		}
	}
}

func (c client) remembersAs(what, name string) {
	c.t.Helper()
	c.remembers(`{}`, name, "a note for "+what)
}

// With RUNNER_BRIDGE_SHARED=on the operator says that the server keeps nothing.
func TestSharedIsTheOneWayToShareBetweenClientsThatDiffer(t *testing.T) {
	t.Parallel()
	h := open(t, func(opts *bridge.Options) { opts.Shared = true })
	c := h.stateless(t)
	c.remembers(`{}`, "alice", "secret of alice")
	if got := c.remembers(`{}`, "bob", ""); got != "secret of alice" {
		t.Errorf("bob reads %q", got)
	}
	if got := c.remembers(`{"extensions":{"a/b":{}}}`, "bob", ""); got != "" {
		t.Errorf("bob, able to something else, reads %q", got)
	}
}

// Clients can make up names. Servers that serve nobody at the moment give up
// their places, and those that serve somebody do not.
func TestStatelessClientsThatDifferHaveALimit(t *testing.T) {
	t.Parallel()
	h := open(t, func(opts *bridge.Options) { opts.Sessions = 3 })
	c, body := h.stateless(t).ask(`"slow"`, "say", `,"progressToken":7`+as("slow"), lines(tokenProgress))
	slow := c.stream(http.MethodPost, body)
	slow.next()
	for _, name := range []string{"a", "b", "c", "d"} {
		h.stateless(t).remembers(`{}`, name, "x")
	}
	if n := h.Health().Sessions; n > 3 {
		t.Errorf("%d servers", n)
	}
	if got := h.stateless(t).remembers(`{}`, "d", "x"); got != "x" {
		t.Error("the last one has lost its server")
	}
	session := h.begin(t, "2025-11-25") // takes the place of one that does nothing
	c, body = h.stateless(t).ask("2", "say", as("slow"), lines(strings.ReplaceAll(done, "$ID", "1"), done))
	c.wants(http.StatusOK, body)
	if got := slow.data(); !strings.Contains(got, `"id":"slow","result":`) {
		t.Errorf("the one that was being served gets %s", got)
	}
	session.wants(http.StatusOK, call("1", "echo", "{}"))
	h.begin(t, "2025-11-25")
	h.begin(t, "2025-11-25")
	c, body = h.stateless(t).ask("3", "say", as("late"), lines(done))
	c.wants(http.StatusServiceUnavailable, body)
}

// Who waits for a process that others have asked for may go meanwhile. Then
// nobody gives up a place for it.
func TestAStatelessClientThatHasGoneTakesNoPlace(t *testing.T) {
	t.Parallel()
	h := open(t, func(opts *bridge.Options) { opts.Sessions = 1 })
	h.stateless(t).remembers(`{}`, "alice", "x")
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	c, body := h.stateless(t).ask("1", "say", as("bob"), lines(done))
	h.hand(gone, c, body)
	if got := h.stateless(t).remembers(`{}`, "alice", "x"); got != "x" {
		t.Error("alice has lost her server")
	}
}

// A server may offer more to clients that declare an extension.
func TestAnOlderServerIsToldWhatAStatelessClientDeclares(t *testing.T) {
	t.Parallel()
	const extensions = `"experimental":{"x":{"n":1}},"extensions":{"io.modelcontextprotocol/ui":{"mimeTypes":["text/html"]}}`
	for _, tt := range []struct{ name, capabilities, method, want string }{
		{"nothing", `{}`, "tools/call", `{}`},
		{"extensions", `{` + extensions + `}`, "tools/call", `{` + extensions + `}`},
		{"extensions, for a list", `{` + extensions + `}`, "prompts/list", `{` + extensions + `}`},
		{"extensions, and that it can be asked", `{"elicitation":{},` + extensions + `}`, "tools/call", `{"elicitation":{},` + extensions + `}`},
		// Of these requests no server can ask back, so that it need not try.
		{"extensions, of a request that asks nothing", `{"elicitation":{},"roots":{},"sampling":{},` + extensions + `}`, "say", `{` + extensions + `}`},
	} {
		h := open(t, nil)
		c, body := h.stateless(t).askAs(tt.capabilities, "1", tt.method, as("alice"), lines(`{"jsonrpc":"2.0","id":$ID,"result":{"told":$HELLO}}`))
		var answer struct {
			Result struct {
				Told struct {
					Capabilities, ClientInfo json.RawMessage
				}
			}
		}
		if err := json.Unmarshal([]byte(c.wants(http.StatusOK, body).body), &answer); err != nil {
			t.Fatal(err)
		}
		told := answer.Result.Told
		if diff := cmp.Diff(tt.want, string(told.Capabilities)); diff != "" {
			t.Errorf("%s: -want +got\n%s", tt.name, diff)
		}
		if want := `{"name":"alice","version":"1"}`; string(told.ClientInfo) != want {
			t.Errorf("%s: the client is %s, want %s", tt.name, told.ClientInfo, want)
		}
	}
}
