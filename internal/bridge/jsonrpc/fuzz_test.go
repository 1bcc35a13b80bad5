package jsonrpc_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/drengskapur/fastmcp-runner/internal/bridge/jsonrpc"
)

// FuzzReader reads what a child may write: whatever it is, the reader comes to
// its end, and what it takes for a message is what encoding/json reads there.
func FuzzReader(f *testing.F) {
	for _, seed := range []string{
		"noise\n" + `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"_meta":{"progressToken":"t"}}}` + "\n",
		`{"jsonrpc":"2.0","id":9007199254740993,"result":{"_meta":{"io.modelcontextprotocol/subscriptionId":"\u00e9"}}}` + "\r\n\n",
		`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1e2,"reason":"\\\""}}`,
		`[{"jsonrpc":"2.0","method":"a"},{"jsonrpc":"2.0","id":"x","error":{"code":1,"message":"}"}}]` + "\n",
		`{"jsonrpc":"2.0","id":7,"result":"` + string(bytes.Repeat([]byte("x"), 300)) + `"}` + "\n{",
		`{"id":1,"id":2,"ID":3,"jsonrpc":"2.0","method":""}`, `{"`, `{"a":`, `[[`, "\xff\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		const limit = 256
		for r := jsonrpc.NewReader(bytes.NewReader(data), limit); ; {
			line, err := r.Line()
			if tooLong, ok := errors.AsType[*jsonrpc.TooLongError](err); ok {
				tooLong.Key() // whatever it finds
				continue
			}
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil || len(line) > limit {
				t.Fatalf("a line of %d bytes, %v", len(line), err)
			}
			messages, _, err := jsonrpc.ParseBatch(line)
			if err != nil {
				continue
			}
			for _, m := range messages {
				checkMessage(t, m)
			}
		}
	})
}

func checkMessage(t *testing.T, m jsonrpc.Message) {
	t.Helper()
	if bytes.ContainsAny(m.Raw, "\r\n") {
		t.Fatalf("a message of several lines: %q", m.Raw)
	}
	var want struct {
		ID     json.RawMessage `json:"id"`
		Method string          `json:"method"`
		Params json.RawMessage `json:"params"`
	}
	if err := json.Unmarshal(m.Raw, &want); err != nil {
		t.Fatalf("%q is no message: %v", m.Raw, err)
	}
	if m.Method != want.Method {
		t.Errorf("%s: method %q, want %q", m.Raw, m.Method, want.Method)
	}
	if !m.ID.Absent() && !bytes.Equal(m.Bytes(m.ID), want.ID) {
		t.Errorf("%s: id %s, want %s", m.Raw, m.Bytes(m.ID), want.ID)
	}
	if !bytes.Equal(m.Bytes(m.Params), want.Params) {
		t.Errorf("%s: params %s, want %s", m.Raw, m.Bytes(m.Params), want.Params)
	}
	edited := m.With(jsonrpc.Edit{At: m.ID, With: []byte(`"new"`)}, jsonrpc.Edit{At: m.Token, With: []byte(`"new"`)})
	wantEnvelope := envelopeOf(m)
	if !m.ID.Absent() {
		wantEnvelope.ID = `"new"`
	}
	if !m.Token.Absent() {
		wantEnvelope.Token = `"new"`
	}
	if diff := cmp.Diff(wantEnvelope, envelopeOf(edited)); diff != "" {
		t.Errorf("%s edited: -want +got\n%s", m.Raw, diff)
	}
}
