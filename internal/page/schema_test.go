package page_test

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"

	"github.com/drengskapur/fastmcp-runner/internal/page"
)

// arguments returns what the page shows of the arguments of a tool, a line
// each.
func arguments(t *testing.T, schema string) []string {
	t.Helper()
	server := &page.Server{Name: "x", Tools: []page.Tool{{Name: "tool", InputSchema: json.RawMessage(schema)}}}
	var lines []string
	for _, list := range open(t, serving(server)).elements("dl") {
		for row := range list.ChildNodes() {
			if row.Type == html.ElementNode {
				lines = append(lines, strings.Join(strings.Fields(text(row)), " "))
			}
		}
	}
	return lines
}

func TestArgumentsAreReadFromTheSchema(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		schema string
		want   []string
	}{
		{"none", `{"type":"object"}`, nil},
		{"no schema", ``, nil},
		{"no object", `[1,2]`, nil},
		{"the order of the author", `{"properties":{"z":{"type":"string"},"a":{"type":"number"},"m":{"type":"boolean"}}}`, []string{"z string", "a number", "m boolean"}},
		{
			"all that is shown",
			`{"required":["when"],"properties":{"when":{"type":"string","format":"date-time","description":"The time.","default":"now","enum":["now","later"]}}}`,
			[]string{"when date-time required The time. One of now, later; by default now"},
		},
		{"a default that is no text", `{"properties":{"a":{"type":"array","items":{"type":"integer"},"default":[ 1, 2 ]}}}`, []string{"a integer[] By default [1,2]"}},
		{"several types", `{"properties":{"a":{"type":["string","integer","null"]}}}`, []string{"a string or integer"}},
		{"items of several types", `{"properties":{"a":{"type":"array","items":{"type":["string","integer"]}}}}`, []string{"a (string or integer)[]"}},
		{"a constant", `{"properties":{"a":{"const":"on"}}}`, []string{"a one of One of on"}},
		{"anything", `{"properties":{"a":{},"b":true}}`, []string{"a any", "b any"}},
		{
			"an optional argument of Pydantic",
			`{"properties":{"a":{"anyOf":[{"type":"string"},{"type":"null"}],"default":null,"title":"A","description":"Perhaps."}}}`,
			[]string{"a string Perhaps."},
		},
		{
			"an enumeration of Pydantic",
			`{"$defs":{"Color":{"enum":["red","blue"],"type":"string","description":"A color."}},"properties":{"a":{"$ref":"#/$defs/Color","default":"red"}}}`,
			[]string{"a string A color. One of red, blue; by default red"},
		},
		{
			"a choice of types",
			`{"definitions":{"P":{"type":"object"}},"properties":{"a":{"oneOf":[{"type":"string"},{"$ref":"#/definitions/P"}]}}}`,
			[]string{"a string or object"},
		},
		{
			"objects within objects",
			`{"properties":{"a":{"type":"object","required":["b"],"properties":{"b":{"type":"object","properties":{"c":{"type":"object","properties":{"d":{}}}}}}}}}`,
			[]string{"a object", "a.b object required", "a.b.c object"},
		},
		{
			"objects in an array",
			`{"properties":{"edits":{"type":"array","items":{"type":"object","required":["old"],"properties":{"old":{"type":"string"},"new":{"type":"string"}}}}}}`,
			[]string{"edits object[]", "edits[].old string required", "edits[].new string"},
		},
		{"a reference to nothing", `{"properties":{"a":{"$ref":"#/$defs/none"},"b":{"$ref":"https://example.com/"}}}`, []string{"a any", "b any"}},
		{"members of wrong types", `{"required":"a","properties":{"a":{"type":"string","description":7,"enum":{},"format":[]}}}`, []string{"a string"}},
		{"properties that are none", `{"properties":["a"]}`, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, arguments(t, tt.schema)); diff != "" {
				t.Errorf("arguments (-want +got):\n%s", diff)
			}
		})
	}
}

func TestManyChoicesAreCounted(t *testing.T) {
	t.Parallel()
	var values []string
	for i := range 30 {
		values = append(values, strconv.Itoa(i))
	}
	got := arguments(t, `{"properties":{"a":{"type":"integer","enum":[`+strings.Join(values, ",")+`]}}}`)
	if len(got) != 1 || !strings.HasSuffix(got[0], "22, 23 and 6 more") {
		t.Errorf("arguments: %q", got)
	}
}
