package page_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/net/html"

	"github.com/drengskapur/fastmcp-runner/internal/page"
)

// attack is what would do something if it were taken for HTML, CSS or a
// script.
const attack = `</title></style></script><script>alert(1)</script><img src=x onerror=alert(1)>"' onclick='alert(1)'{{.}}<!--`

// hostile is a server all of whose texts are an attack.
func hostile() *page.Server {
	quoted, err := json.Marshal(attack)
	if err != nil {
		panic(err)
	}
	schema := strings.ReplaceAll(`{"type":["array",§],"items":{"type":§},"required":[§],"properties":{§:{
		"type":§,"format":§,"description":§,"default":§,"enum":[§,1],"$ref":§}}}`, "§", string(quoted))
	return &page.Server{
		Name: attack, Title: attack, Version: attack, Revision: attack, Instructions: attack,
		Tools: []page.Tool{{Name: attack, Title: attack, Description: attack, InputSchema: json.RawMessage(schema)}},
	}
}

func TestNothingFromTheServerBecomesHTML(t *testing.T) {
	t.Parallel()
	for _, status := range []page.Status{page.OK, page.Failing, page.Starting} {
		opts := serving(hostile())
		opts.State = func() page.State {
			return page.State{Status: status, Phase: page.Phase(attack), Image: attack, Reason: attack}
		}
		opts.Version, opts.Path, opts.SSEPath = attack, attack, attack
		body := ask(opts, nil).Body.String()
		checkHarmless(t, body)
		if got := strings.Count(parse(t, body).body(), "<img src=x onerror=alert(1)>"); got < 3 {
			t.Errorf("%s: the attack stands %d times on the page: is it shown at all?", status, got)
		}
	}
}

// checkHarmless checks that a page holds no script but ours, no handler, no
// style and no address but that of the page itself.
func checkHarmless(t *testing.T, body string) {
	t.Helper()
	if harm := findHarm(body); harm != "" {
		t.Errorf("the page holds %s", harm)
	}
}

func findHarm(body string) string {
	root, err := html.Parse(strings.NewReader(body))
	if err != nil {
		return err.Error()
	}
	counts := map[string]int{}
	for n := range root.Descendants() {
		if n.Type == html.CommentNode {
			return "a comment: " + n.Data
		}
		if n.Type != html.ElementNode {
			continue
		}
		counts[n.Data]++
		if slices.Contains([]string{"img", "iframe", "object", "embed", "base", "a", "template", "audio", "video", "math"}, n.Data) {
			return "<" + n.Data + ">"
		}
		for _, a := range n.Attr {
			switch {
			case strings.HasPrefix(a.Key, "on"), a.Key == "style", a.Key == "src", a.Key == "srcdoc", a.Key == "action", a.Key == "formaction":
				return a.Key + "=" + a.Val
			case a.Key == "href" && !strings.HasPrefix(a.Val, "data:image/svg+xml,"):
				return a.Key + "=" + a.Val
			}
		}
	}
	for _, tag := range []string{"script", "style", "link", "title", "main", "h1"} {
		if counts[tag] != 1 {
			return fmt.Sprintf("%d <%s>", counts[tag], tag)
		}
	}
	return ""
}

func TestHarmIsFound(t *testing.T) {
	t.Parallel()
	body := ask(serving(weather()), nil).Body.String()
	for _, harm := range []string{`<script></script>`, `<p onclick=x>`, `<p style=x>`, `<a href="javascript:x">`, `<img>`} {
		if findHarm(strings.Replace(body, "</main>", harm+"</main>", 1)) == "" {
			t.Errorf("%s is not found", harm)
		}
	}
}

// TestALargeServerIsBounded shows that neither the number of tools nor the
// length of a text can make the page large or slow.
func TestALargeServerIsBounded(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("lengthy ", 1<<17) // 1 MiB
	var properties []string
	for i := range 200 {
		properties = append(properties, fmt.Sprintf(`"argument_%d":{"type":"string","description":%q,"default":%q}`, i, long[:500], long[:500]))
	}
	schema := json.RawMessage(`{"type":"object","properties":{` + strings.Join(properties, ",") + `}}`)
	server := &page.Server{Name: long, Title: long, Version: long, Instructions: long}
	for i := range 2000 {
		server.Tools = append(server.Tools, page.Tool{Name: fmt.Sprintf("tool_%d_", i) + long[:200], Title: long, Description: long, InputSchema: schema})
	}
	began := time.Now()
	answer := ask(serving(server), nil)
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("the page took %s", took)
	}
	const most = 1 << 20
	if size := answer.Body.Len(); size > most {
		t.Errorf("the page has %d bytes, want at most %d", size, most)
	}
	d := parse(t, answer.Body.String())
	d.holds(true, "tool_0_", "tool_499_", "Tools 2000", "And 1500 more", "argument_0", "It has more arguments")
	d.holds(false, "tool_500_")
	for _, heading := range d.elements("h1") {
		if n := len(text(heading)); n > 200 {
			t.Errorf("the heading has %d bytes", n)
		}
	}
}

// TestASchemaThatRefersToItselfIsBounded: parsed without a limit, the first of
// these takes 1000 to the power of 3 steps.
func TestASchemaThatRefersToItselfIsBounded(t *testing.T) {
	t.Parallel()
	refs := func(name string) string {
		return `{"anyOf":[` + strings.TrimSuffix(strings.Repeat(`{"$ref":"#/$defs/`+name+`"},`, 1000), ",") + `]}`
	}
	for name, schema := range map[string]string{
		"wide":    `{"properties":{"a":` + refs("b") + `},"$defs":{"b":` + refs("c") + `,"c":` + refs("d") + `,"d":` + refs("b") + `}}`,
		"a loop":  `{"properties":{"a":{"$ref":"#/$defs/a"}},"$defs":{"a":{"$ref":"#/$defs/b"},"b":{"$ref":"#/$defs/a"}}}`,
		"itself":  `{"properties":{"a":{"$ref":"#/$defs/a"}},"$defs":{"a":{"type":"object","properties":{"b":{"$ref":"#/$defs/a"},"c":{"$ref":"#/$defs/a"}}}}}`,
		"deep":    `{"properties":{"a":` + strings.Repeat(`{"type":"array","items":`, 4000) + `{}` + strings.Repeat(`}`, 4000) + `}}`,
		"objects": `{"properties":{"a":` + strings.Repeat(`{"properties":{"a":`, 4000) + `{}` + strings.Repeat(`}}`, 4000) + `}}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := &page.Server{Name: "x", Tools: []page.Tool{{Name: "tool", InputSchema: json.RawMessage(schema)}}}
			began := time.Now()
			d := open(t, serving(server))
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("it took %s", took)
			}
			if len(d.elements("dt")) == 0 {
				t.Error("no argument is shown")
			}
		})
	}
}

func TestWhatHidesTextIsMadeVisible(t *testing.T) {
	t.Parallel()
	server := &page.Server{Name: "x", Tools: []page.Tool{
		{Name: "a\u202etxt", Description: "tags \U000e0041\U000e0042, a bell \a, bytes \xff\xfe, a mark \ufeff.\r\nسلام, family 👨\u200d👩\u200d👧."},
	}}
	body := ask(serving(server), nil).Body.String()
	if !utf8.ValidString(body) {
		t.Error("the page is no UTF-8")
	}
	d := parse(t, body)
	d.holds(true, "a\ufffdtxt", "tags \ufffd\ufffd, a bell \ufffd, bytes \ufffd, a mark \ufffd.\nسلام, family 👨\u200d👩\u200d👧.")
	for _, r := range "\u202e\U000e0041\a\ufeff" {
		if strings.ContainsRune(d.body(), r) {
			t.Errorf("the page holds %U", r)
		}
	}
}

// FuzzTool shows that the page stays one page, whatever a tool is like.
func FuzzTool(f *testing.F) {
	f.Add("get", "what it does", `{"type":"object","properties":{"a":{"type":["string","null"],"enum":["x"],"default":1}},"required":["a"]}`)
	f.Add(attack, attack, string(hostile().Tools[0].InputSchema))
	f.Add("", "\xff", `{"properties":[],"required":{},"$defs":7,"type":{}}`)
	f.Add("ref", "", `{"$ref":"#/$defs/a","$defs":{"a":{"properties":{"b":{"anyOf":[{"$ref":"#/$defs/a"},{"type":"null"}]}}}}}`)
	f.Fuzz(func(t *testing.T, name, description, schema string) {
		server := &page.Server{Name: name, Title: description, Tools: []page.Tool{
			{Name: name, Title: name, Description: description, InputSchema: json.RawMessage(schema)},
		}}
		body := ask(serving(server), nil).Body.String()
		checkHarmless(t, body)
		if !utf8.ValidString(body) {
			t.Error("the page is no UTF-8")
		}
		if len(body) > 1<<20 {
			t.Errorf("the page has %d bytes", len(body))
		}
	})
}
