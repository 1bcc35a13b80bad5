package jsonrpc_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/drengskapur/fastmcp-runner/internal/bridge/jsonrpc"
)

// envelope is what Parse reads of a message, as text.
type envelope struct {
	Kind                                     jsonrpc.Kind
	Method, ID, Token, Cancels, Subscription string
}

func envelopeOf(m jsonrpc.Message) envelope {
	return envelope{
		Kind: m.Kind, Method: m.Method, ID: string(m.Bytes(m.ID)), Token: string(m.Bytes(m.Token)),
		Cancels: string(m.Bytes(m.Cancels)), Subscription: string(m.Bytes(m.Subscription)),
	}
}

func TestParseReadsTheEnvelope(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, raw string
		want      envelope
	}{
		{
			"a request", `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`,
			envelope{Kind: jsonrpc.Request, ID: "1", Method: "tools/list"},
		},
		{
			"an id above 2^53 keeps its digits", `{"jsonrpc":"2.0","id":9007199254740993,"method":"ping"}`,
			envelope{Kind: jsonrpc.Request, ID: "9007199254740993", Method: "ping"},
		},
		{
			"a progress token deep in the parameters",
			`{"params":{"arguments":{"_meta":{"progressToken":9}},"_meta":{"x":[{"progressToken":8}],"progressToken":"t"}},"method":"tools/call","id":"a","jsonrpc":"2.0"}`,
			envelope{Kind: jsonrpc.Request, ID: `"a"`, Method: "tools/call", Token: `"t"`},
		},
		{
			"a progress notification names its token", `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":7,"progress":0.5}}`,
			envelope{Kind: jsonrpc.Notification, Method: "notifications/progress", Token: "7"},
		},
		{
			"a token elsewhere is none", `{"jsonrpc":"2.0","method":"notifications/message","params":{"progressToken":7}}`,
			envelope{Kind: jsonrpc.Notification, Method: "notifications/message"},
		},
		{
			"a cancellation names its request", `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"r","reason":"}\"]"}}`,
			envelope{Kind: jsonrpc.Notification, Method: "notifications/cancelled", Cancels: `"r"`},
		},
		{
			"a response that ends with its id", `{"result":{"content":[{"text":"\\\"}"}]},"jsonrpc":"2.0","id":3}`,
			envelope{Kind: jsonrpc.Response, ID: "3"},
		},
		{
			"an error without an id", `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"?"}}`,
			envelope{Kind: jsonrpc.Response},
		},
		{
			"a subscription in a notification",
			`{"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":4}}}`,
			envelope{Kind: jsonrpc.Notification, Method: "notifications/tools/list_changed", Subscription: "4"},
		},
		{
			"a subscription in a result", `{"jsonrpc":"2.0","id":4,"result":{"_meta":{"io.modelcontextprotocol/subscriptionId":4}}}`,
			envelope{Kind: jsonrpc.Response, ID: "4", Subscription: "4"},
		},
		{
			"names with escapes", `{"json\u0072pc":"2.0","\u0069d":5,"method":"a\/b"}`,
			envelope{Kind: jsonrpc.Request, ID: "5", Method: "a/b"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m, err := jsonrpc.Parse([]byte(tt.raw))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, envelopeOf(m)); diff != "" {
				t.Errorf("Parse(%s): -want +got\n%s", tt.raw, diff)
			}
			if string(m.Raw) != tt.raw {
				t.Errorf("Raw = %s, want %s", m.Raw, tt.raw)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, raw string
		code      int
	}{
		{"nothing", ``, jsonrpc.CodeParse},
		{"text", `Server listening`, jsonrpc.CodeParse},
		{"two values", `{} {}`, jsonrpc.CodeParse},
		{"half a message", `{"jsonrpc":"2.0","id":1`, jsonrpc.CodeParse},
		{"bytes that are not UTF-8", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xff\"}", jsonrpc.CodeParse},
		{"a number", `7`, jsonrpc.CodeInvalidRequest},
		{"a line of a structured log", `{"level":"info","msg":"started"}`, jsonrpc.CodeInvalidRequest},
		{"another version", `{"jsonrpc":"1.0","id":1,"method":"m"}`, jsonrpc.CodeInvalidRequest},
		{"a null id", `{"jsonrpc":"2.0","id":null,"method":"m"}`, jsonrpc.CodeInvalidRequest},
		{"an id that is an object", `{"jsonrpc":"2.0","id":{},"method":"m"}`, jsonrpc.CodeInvalidRequest},
		{"a method that is a number", `{"jsonrpc":"2.0","id":1,"method":2}`, jsonrpc.CodeInvalidRequest},
		{"an id that stands there twice", `{"jsonrpc":"2.0","id":1,"id":2,"method":"m"}`, jsonrpc.CodeInvalidRequest},
		{"an id that some decoders take", `{"jsonrpc":"2.0","id":1,"ID":2,"method":"m"}`, jsonrpc.CodeInvalidRequest},
		{"result and error at once", `{"jsonrpc":"2.0","id":1,"result":{},"error":{}}`, jsonrpc.CodeInvalidRequest},
		{"a result for nobody", `{"jsonrpc":"2.0","id":null,"result":{}}`, jsonrpc.CodeInvalidRequest},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m, err := jsonrpc.Parse([]byte(tt.raw))
			var refusal *jsonrpc.Error
			if !errors.As(err, &refusal) || refusal.Code != tt.code {
				t.Errorf("Parse(%s) = %+v, %v; want code %d", tt.raw, m, err, tt.code)
			}
		})
	}
}

func TestParsePutsAMessageOnOneLine(t *testing.T) {
	t.Parallel()
	m, err := jsonrpc.Parse([]byte(" {\r\n\"jsonrpc\": \"2.0\",\n\"method\": \"a\\nb\"\n}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if want := `{  "jsonrpc": "2.0", "method": "a\nb" }`; string(m.Raw) != want {
		t.Errorf("Raw = %q, want %q", m.Raw, want)
	}
}

func TestParseBatch(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, raw string
		want      []string
		batch, ok bool
	}{
		{"one message", `{"jsonrpc":"2.0","method":"a"}`, []string{`{"jsonrpc":"2.0","method":"a"}`}, false, true},
		{
			"a batch keeps the bytes of its messages", `[ {"jsonrpc":"2.0","method":"a"} ,{"jsonrpc":"2.0", "id":1,"result":[ ]}]`,
			[]string{`{"jsonrpc":"2.0","method":"a"}`, `{"jsonrpc":"2.0", "id":1,"result":[ ]}`},
			true, true,
		},
		{"an empty batch", `[]`, nil, true, false},
		{"a batch in a batch", `[[{"jsonrpc":"2.0","method":"a"}]]`, nil, true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			messages, batch, err := jsonrpc.ParseBatch([]byte(tt.raw))
			if (err == nil) != tt.ok || batch != tt.batch {
				t.Fatalf("ParseBatch(%s): batch %t, error %v", tt.raw, batch, err)
			}
			if err != nil {
				return
			}
			var got []string
			for _, m := range messages {
				got = append(got, string(m.Raw))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("ParseBatch(%s): -want +got\n%s", tt.raw, diff)
			}
		})
	}
}

func TestKeysOfEqualIDsAreEqual(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{`1`, `1`, true},
		{`1`, `1.0`, true},
		{`1e2`, `100`, true},
		{`"é"`, `"\u00e9"`, true},
		{`1`, `"1"`, false},
		{`9007199254740993`, `9007199254740992`, false},
		{`-1`, `1`, false},
		{`1.5`, `1`, false},
	} {
		if got := key(t, tt.a) == key(t, tt.b); got != tt.want {
			t.Errorf("%s and %s have the same key: %t, want %t", tt.a, tt.b, got, tt.want)
		}
	}
}

func key(t *testing.T, id string) string {
	t.Helper()
	m, err := jsonrpc.Parse([]byte(`{"jsonrpc":"2.0","method":"m","id":` + id + `}`))
	if err != nil {
		t.Fatal(err)
	}
	return m.Key(m.ID)
}

func TestWithReplacesValuesAndNothingElse(t *testing.T) {
	t.Parallel()
	m, err := jsonrpc.Parse([]byte(`{ "params":{"_meta":{"progressToken" : "t"},"n":9007199254740993},"jsonrpc":"2.0","id": "long id" ,"method":"m"}`))
	if err != nil {
		t.Fatal(err)
	}
	got := m.With(
		jsonrpc.Edit{At: m.ID, With: []byte("5")},
		jsonrpc.Edit{At: m.Token, With: []byte("5")},
		jsonrpc.Edit{At: m.Subscription, With: []byte("5")},
	)
	want := `{ "params":{"_meta":{"progressToken" : 5},"n":9007199254740993},"jsonrpc":"2.0","id": 5 ,"method":"m"}`
	if string(got.Raw) != want {
		t.Errorf("With = %s, want %s", got.Raw, want)
	}
	if diff := cmp.Diff(envelope{Kind: jsonrpc.Request, Method: "m", ID: "5", Token: "5"}, envelopeOf(got)); diff != "" {
		t.Errorf("envelope: -want +got\n%s", diff)
	}
}

func TestWhatIsMadeIsAMessage(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		raw  []byte
		want string
	}{
		{jsonrpc.Failure([]byte(`9007199254740993`), -32603, "a <b>", nil), `{"jsonrpc":"2.0","id":9007199254740993,"error":{"code":-32603,"message":"a <b>"}}`},
		{jsonrpc.Failure(nil, -32700, "x", []byte(`{"y":1}`)), `{"jsonrpc":"2.0","error":{"code":-32700,"message":"x","data":{"y":1}}}`},
		{jsonrpc.Result([]byte(`"a"`), []byte(`{}`)), `{"jsonrpc":"2.0","id":"a","result":{}}`},
		{jsonrpc.Call(nil, "notifications/initialized", nil), `{"jsonrpc":"2.0","method":"notifications/initialized"}`},
		{jsonrpc.Call([]byte("1"), "initialize", []byte(`{"a":1}`)), `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"a":1}}`},
	} {
		if string(tt.raw) != tt.want {
			t.Errorf("got %s, want %s", tt.raw, tt.want)
		}
		if _, err := jsonrpc.Parse(tt.raw); err != nil {
			t.Errorf("Parse(%s): %v", tt.raw, err)
		}
	}
}
