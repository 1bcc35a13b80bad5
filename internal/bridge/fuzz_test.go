package bridge_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/drengskapur/fastmcp-runner/internal/bridge"
)

// FuzzMirrors reads schemas as servers may write them, and the arguments that
// go with them: what is found is what encoding/json finds there, headers that
// repeat the arguments pass, and headers that do not are refused.
func FuzzMirrors(f *testing.F) {
	var list struct {
		Tools []struct{ InputSchema json.RawMessage }
	}
	if err := json.Unmarshal([]byte(mirroringTools), &list); err != nil {
		f.Fatal(err)
	}
	for _, tool := range list.Tools {
		f.Add([]byte(tool.InputSchema), []byte(`{"region":"us-west1","count":4.2e1,"dry":true,"where":{"zone":"\u00e9\ud800"},"a":null}`))
	}
	for _, depth := range []int{16, 17, 40} { // 17 are the deepest that count
		deep := strings.Repeat(`{"properties":{"a":`, depth) + `{"type":"string","x-mcp-header":"A"}` + strings.Repeat(`}}`, depth)
		f.Add([]byte(deep), []byte(`{"a":{"a":{"A":1}}}`))
	}
	for _, marks := range []int{100, 101} { // 100 are the most
		var many []string
		for i := range marks {
			many = append(many, fmt.Sprintf(`"a%d":{"type":"string","x-mcp-header":"A%d"}`, i, i))
		}
		f.Add([]byte(`{"properties":{`+strings.Join(many, ",")+`}}`), []byte(`{"a7":"x"}`))
	}
	f.Add([]byte(`{"properties":{"":{"type":"integer","x-mcp-\u0068eader":"!"}}}`), []byte(`{"":[{"":"}"}]}`))
	f.Add([]byte(`{"properties":[{"type":"string","x-mcp-header":"A"}]}`), []byte(`"\""`))
	f.Fuzz(func(t *testing.T, schema, arguments []byte) {
		want, ok := wantedMirrors(schema)
		if isAmbiguous(schema) || isAmbiguous(arguments) {
			bridge.Mirrors(schema) // whatever it finds
			return
		}
		got, gotOK := bridge.Mirrors(schema)
		if gotOK != ok {
			t.Fatalf("%s: right: %t, want %t", schema, gotOK, ok)
		}
		if !ok {
			return
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%s: -want +got\n%s", schema, diff)
		}
		h := http.Header{}
		for header, path := range want {
			if value, ok := wantedHeader(arguments, path); ok {
				h.Set(header, value)
			}
		}
		body := []byte(call("1", "tools/call", `{"name":"t","arguments":`+string(arguments)+`}`))
		err := bridge.CheckMirrors(schema, body, h)
		if err != nil && strings.Contains(err.Error(), "which is written") {
			return // a name of the schema stands in the arguments in another case
		}
		if err != nil {
			t.Fatalf("%s for %s with %v: %v", schema, arguments, h, err)
		}
		for header := range want {
			wrong := h.Clone()
			wrong.Add(header, "x")
			if err := bridge.CheckMirrors(schema, body, wrong); err == nil {
				t.Fatalf("%s for %s with %v was let pass", schema, arguments, wrong)
			}
		}
	})
}

// wantedMirrors reads a schema by encoding/json.
func wantedMirrors(schema []byte) (paths map[string][]string, ok bool) {
	paths, ok = map[string][]string{}, true
	var walk func(schema any, path []string)
	walk = func(schema any, path []string) {
		object, _ := schema.(map[string]any)
		properties, _ := object["properties"].(map[string]any)
		for name, property := range properties {
			here := append(slices.Clone(path), name)
			if len(here) > 17 { // no deeper
				return
			}
			property, _ := property.(map[string]any)
			if mark, marked := property["x-mcp-header"]; marked {
				text, _ := mark.(string)
				header := http.CanonicalHeaderKey("Mcp-Param-" + text)
				primitive := slices.Contains([]any{"string", "integer", "boolean"}, property["type"])
				ok = ok && regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$").MatchString(text) && primitive && paths[header] == nil
				paths[header] = here
			}
			walk(property, here)
		}
	}
	var read any
	if json.Unmarshal(schema, &read) == nil {
		walk(read, nil)
	}
	return paths, ok && len(paths) <= 100
}

// wantedHeader returns what a client puts in a header, if anything.
func wantedHeader(arguments []byte, path []string) (value string, ok bool) {
	for _, name := range path {
		var object map[string]json.RawMessage
		if json.Unmarshal(arguments, &object) != nil {
			return "", false
		}
		arguments = object[name]
	}
	var text *string
	switch {
	case len(arguments) == 0 || strings.ContainsRune("n{[", rune(arguments[0])):
		return "", false
	case json.Unmarshal(arguments, &text) == nil:
		return "=?base64?" + base64.StdEncoding.EncodeToString([]byte(*text)) + "?=", true
	}
	return string(arguments), true
}

// isAmbiguous says whether decoders disagree about what a text is: it is not
// JSON in UTF-8, or an object has a name twice, or once more in another case.
func isAmbiguous(text []byte) bool {
	if !json.Valid(text) || !utf8.Valid(text) {
		return true
	}
	decoder := json.NewDecoder(strings.NewReader(string(text)))
	decoder.UseNumber()
	type level struct {
		names  map[string]bool // nil in an array
		inName bool            // a name comes next
	}
	levels := []level{{}}
	for {
		token, err := decoder.Token()
		if err != nil {
			return !errors.Is(err, io.EOF)
		}
		at := &levels[len(levels)-1]
		name, isText := token.(string)
		if at.inName && isText {
			for other := range maps.Keys(at.names) {
				if strings.EqualFold(other, name) {
					return true
				}
			}
			at.names[name], at.inName = true, false
			continue
		}
		switch token {
		case json.Delim('{'):
			levels = append(levels, level{map[string]bool{}, true})
			continue
		case json.Delim('['):
			levels = append(levels, level{})
			continue
		case json.Delim('}'), json.Delim(']'):
			levels = levels[:len(levels)-1]
			at = &levels[len(levels)-1]
		}
		at.inName = at.names != nil
	}
}
