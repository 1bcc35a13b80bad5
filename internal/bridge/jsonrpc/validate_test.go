package jsonrpc_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/drengskapur/fastmcp-runner/internal/bridge/jsonrpc"
)

// texts are JSON and nearly JSON.
func texts() []string {
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	objects := func(n int) string { return strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n) }
	return []string{
		"", " ", "{}", " {} ", "{} {}", "{}x", "[]", "[1]", "[1,]", "[,1]", "[1 2]", "[", "]", "{", "}", "{,}", `{"a"}`, `{"a":}`, `{"a":1,}`,
		`{"a":1 "b":2}`, `{a:1}`, `{"a":1,"b":[{"c":null}]}`, `{"a" : 1 }`, "\t[\r\n1 ,\n2]\n", "\v1", "\u00a01",
		"true", "false", "null", "tru", "truex", "True", "nul", "0", "-0", "-", "01", "1.", ".1", "1.5", "1e5", "1E+5", "1e-5", "1e", "1e+", "+1", "--1",
		"0x1", "1_000", "NaN", "Infinity", "12345678901234567890123", `""`, `"`, `"a`, `"\"`, `"\\"`, `"\u00e9"`, `"\u00"`, `"\u00g0"`, `"\ud800"`, `"\x"`,
		`"\`, `"\u`, "\"\x00\"", "\"\x1f12345678\"", "\"1234567\x1f\"", "\"\x7f\"", "\"é€😀\"", "\"\xff\"", "\"12345678\xc3\"", "\"\xed\xa0\x80\"", "\xef\xbb\xbf{}",
		`"` + strings.Repeat("x", 100) + `"`, `"` + strings.Repeat(`x\n`, 100) + `"`, deep(9_999), deep(10_000), deep(10_001), objects(10_000), objects(10_001),
	}
}

func TestValidIsWhatEncodingJSONTakes(t *testing.T) {
	t.Parallel()
	for _, text := range texts() {
		checkValid(t, text)
	}
	// A byte at every place of the eight that are looked at together.
	for c := range 256 {
		for place := range 17 {
			inside := []byte(strings.Repeat("x", 17))
			inside[place] = byte(c)
			checkValid(t, `"`+string(inside)+`"`)
		}
	}
}

func checkValid(t *testing.T, text string) {
	t.Helper()
	want := json.Valid([]byte(text)) && utf8.ValidString(text)
	if got := jsonrpc.Valid([]byte(text)); got != want {
		t.Errorf("Valid(%.100q) = %t, want %t", text, got, want)
	}
}

// FuzzValid compares with encoding/json, which takes the same but for bytes
// that are not UTF-8.
func FuzzValid(f *testing.F) {
	for _, text := range texts() {
		if len(text) < 1000 {
			f.Add([]byte(text))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		want := json.Valid(data) && utf8.Valid(data)
		if got := jsonrpc.Valid(bytes.Clone(data)); got != want {
			t.Errorf("Valid(%q) = %t, want %t", data, got, want)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	for name, text := range map[string]string{
		"call":   `{"jsonrpc":"2.0","id":12345,"method":"tools/call","params":{"name":"echo","arguments":{"message":"hello"}}}`,
		"answer": `{"jsonrpc":"2.0","id":12345,"result":{"content":[{"type":"text","text":"Echo: hello"}]}}`,
		"large":  `{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"` + strings.Repeat("some words\\n", 1<<20) + `"}]}}`,
	} {
		b.Run(name, func(b *testing.B) {
			raw := []byte(text)
			b.ReportAllocs()
			b.SetBytes(int64(len(raw)))
			for b.Loop() {
				if _, err := jsonrpc.Parse(raw); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
