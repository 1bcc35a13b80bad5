package page_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"

	"github.com/drengskapur/fastmcp-runner/internal/page"
)

const image = "ghcr.io/acme/weather:1.4"

// serving is a page of a server that serves.
func serving(server *page.Server) page.Options {
	return page.Options{
		State:  func() page.State { return page.State{Status: page.OK, Image: image} },
		Server: func() *page.Server { return server },
		Path:   "/mcp", SSEPath: "/sse", Version: "1.0.0",
	}
}

func weather() *page.Server {
	return &page.Server{
		Name: "weather", Title: "Weather station", Version: "1.4.0", Revision: "2025-11-25", Instructions: "Ask for a forecast.",
		Tools: []page.Tool{{
			Name: "get_forecast", Title: "Forecast", Description: "The forecast for a place.",
			InputSchema: json.RawMessage(`{"type":"object","required":["place"],"properties":{"place":{"type":"string","description":"Where."}}}`),
		}},
	}
}

// ask returns what the page answers to a request.
func ask(opts page.Options, change func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "http://mcp.example.com/", nil)
	if change != nil {
		change(r)
	}
	w := httptest.NewRecorder()
	page.New(opts).ServeHTTP(w, r)
	return w
}

// document is a page, parsed as a browser does.
type document struct {
	*testing.T

	root *html.Node
}

func open(t *testing.T, opts page.Options) document {
	t.Helper()
	return parse(t, ask(opts, nil).Body.String())
}

func parse(t *testing.T, text string) document {
	t.Helper()
	root, err := html.Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return document{t, root}
}

// elements are those with a tag, or all.
func (d document) elements(tag string) []*html.Node {
	var found []*html.Node
	for n := range d.root.Descendants() {
		if n.Type == html.ElementNode && (tag == "" || n.Data == tag) {
			found = append(found, n)
		}
	}
	return found
}

// text is what is in a node as text.
func text(n *html.Node) string {
	var b strings.Builder
	for inner := range n.Descendants() {
		if inner.Type == html.TextNode {
			b.WriteString(inner.Data)
		}
	}
	return b.String()
}

// body is the text of the page that people see.
func (d document) body() string { return text(d.elements("main")[0]) }

// byID returns the text of the element with an id.
func (d document) byID(id string) string {
	d.Helper()
	for _, n := range d.elements("") {
		if attribute(n, "id") == id {
			return text(n)
		}
	}
	d.Fatalf("the page has no #%s", id)
	return ""
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// holds checks which texts the page shows and which it does not.
func (d document) holds(want bool, texts ...string) {
	d.Helper()
	for _, text := range texts {
		if got := strings.Contains(d.body(), text); got != want {
			d.Errorf("the page shows %q: %v, want %v", text, got, want)
		}
	}
}

func TestThePageAnswersGetAndHeadOnly(t *testing.T) {
	t.Parallel()
	get := ask(serving(weather()), nil)
	head := ask(serving(weather()), func(r *http.Request) { r.Method = http.MethodHead })
	if get.Code != http.StatusOK || head.Code != http.StatusOK {
		t.Errorf("GET answers %d and HEAD %d, want 200", get.Code, head.Code)
	}
	if head.Body.Len() != 0 || head.Header().Get("Content-Length") != get.Header().Get("Content-Length") {
		t.Errorf("HEAD answers %d bytes and the length %s, want none and that of GET, %s",
			head.Body.Len(), head.Header().Get("Content-Length"), get.Header().Get("Content-Length"))
	}
	post := ask(serving(weather()), func(r *http.Request) { r.Method = http.MethodPost })
	if post.Code != http.StatusMethodNotAllowed || post.Header().Get("Allow") != "GET, HEAD" {
		t.Errorf("POST answers %d, Allow %q", post.Code, post.Header().Get("Allow"))
	}
}

func TestThePageAnswersWhateverTheState(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		state page.State
		shown []string
	}{
		{"before anything is known", page.State{Status: page.Starting}, []string{"Starting", "The server is starting"}},
		{"resolving", page.State{Status: page.Starting, Phase: page.Resolving, Image: image}, []string{"weather is starting", "Asking the registry"}},
		{"pulling", page.State{Status: page.Starting, Phase: page.Pulling, Image: image, Read: 12_340_000, Total: 40_100_000}, []string{"Pulling the image", "12.3 of 40.1 MB"}},
		{"pulling more than there is", page.State{Status: page.Starting, Phase: page.Pulling, Image: image, Read: 9, Total: 8}, []string{"8 of 8 B"}},
		{"launching", page.State{Status: page.Starting, Phase: page.Launching, Image: image}, []string{"Starting the server"}},
		{"failing", page.State{Status: page.Failing, Image: image, Reason: "no such <module>", RetryAfter: 1500 * time.Millisecond}, []string{"weather does not start", "no such <module>", "in 2 s"}},
		{"serving a server that is not known", page.State{Status: page.OK}, []string{"Serving", "MCP server"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			opts := page.Options{State: func() page.State { return tt.state }, Path: "/mcp"}
			answer := ask(opts, nil)
			if answer.Code != http.StatusOK {
				t.Errorf("the page answers %d", answer.Code)
			}
			d := parse(t, answer.Body.String())
			d.holds(true, tt.shown...)
			d.holds(true, "http://mcp.example.com/mcp")
			const most = 30_000
			if size := answer.Body.Len(); size > most {
				t.Errorf("the page has %d bytes, want at most %d", size, most)
			}
			// Without a script it is asked for again until the server serves.
			if refreshes := strings.Contains(answer.Body.String(), `http-equiv="refresh"`); refreshes != (tt.state.Status != page.OK) {
				t.Errorf("the page refreshes itself: %v", refreshes)
			}
		})
	}
}

func TestTheProgressIsThatOfThePull(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name       string
		state      page.State
		value, max string
		current    string
	}{
		{"pulling", page.State{Phase: page.Pulling, Read: 3, Total: 8}, "3", "8", "Pull"},
		{"pulling what is not known yet", page.State{Phase: page.Pulling}, "", "", "Pull"},
		{"resolving", page.State{Phase: page.Resolving}, "", "", "Resolve"},
		{"launching", page.State{Phase: page.Launching, Read: 8, Total: 8}, "", "", "Start"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.state.Status, tt.state.Image = page.Starting, image
			d := open(t, page.Options{State: func() page.State { return tt.state }, Path: "/mcp"})
			bars := d.elements("progress")
			if len(bars) != 1 || attribute(bars[0], "value") != tt.value || attribute(bars[0], "max") != tt.max {
				t.Fatalf("progress: %d bars, the first %+v", len(bars), bars[0].Attr)
			}
			var current []string
			for _, step := range d.elements("li") {
				if attribute(step, "aria-current") == "step" {
					current = append(current, text(step))
				}
			}
			if !slices.Equal(current, []string{tt.current}) {
				t.Errorf("the current step is %q, want %q", current, tt.current)
			}
		})
	}
}

func TestThePageShowsWhatTheServerOffers(t *testing.T) {
	t.Parallel()
	d := open(t, serving(weather()))
	d.holds(true, "Weather station", "weather", "version 1.4.0", "MCP 2025-11-25", "Ask for a forecast.",
		"get_forecast", "Forecast", "The forecast for a place.", "place", "string", "required", "Where.")
	if title := text(d.elements("title")[0]); title != "Weather station · FastMCP Runner" {
		t.Errorf("title %q", title)
	}
	open(t, serving(&page.Server{Name: "idle"})).holds(true, "The server offers none.")
	open(t, serving(&page.Server{Name: "shy", Untold: true})).holds(true, "The server did not list its tools when it was asked.")
}

func TestToolsAreForThoseWhoHaveTheToken(t *testing.T) {
	t.Parallel()
	opts := serving(weather())
	opts.NeedsToken = true
	opts.MayUse = func(r *http.Request) bool { return r.Header.Get("Authorization") == "Bearer sesame" }
	locked := parse(t, ask(opts, nil).Body.String())
	locked.holds(false, "get_forecast", "Ask for a forecast.", "The forecast for a place.")
	locked.holds(true, "Weather station", "http://mcp.example.com/mcp", "YOUR_TOKEN")
	if forms := locked.elements("form"); len(forms) != 1 || attribute(forms[0], "action") != "" {
		t.Errorf("forms: %v", forms)
	}
	for _, input := range locked.elements("input") {
		if id := attribute(input, "id"); id == "bearer" && attribute(input, "name") != "" {
			t.Error("the field of the token has a name: a browser without the script would put it into the URL")
		}
	}
	answer := ask(opts, func(r *http.Request) { r.Header.Set("Authorization", "Bearer sesame") })
	unlocked := parse(t, answer.Body.String())
	unlocked.holds(true, "get_forecast", "Ask for a forecast.", "YOUR_TOKEN")
	if strings.Contains(answer.Body.String(), "sesame") {
		t.Error("the token is on the page")
	}
}

func TestAForeignNameOfTheServerIsExplained(t *testing.T) {
	t.Parallel()
	opts := serving(weather())
	opts.MayUse = func(r *http.Request) bool { return r.Host != "mcp.example.com" }
	d := open(t, opts)
	d.holds(true, "RUNNER_ALLOWED_ORIGINS", "mcp.example.com")
	d.holds(false, "get_forecast")
}

func TestNothingButOurScriptAndStyleMayRun(t *testing.T) {
	t.Parallel()
	answer := ask(serving(weather()), nil)
	d := parse(t, answer.Body.String())
	policy := map[string]string{}
	for directive := range strings.SplitSeq(answer.Header().Get("Content-Security-Policy"), ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), " ")
		policy[name] = value
	}
	want := map[string]string{
		"default-src": "'none'", "img-src": "data:", "connect-src": "'self'", "base-uri": "'none'", "form-action": "'none'",
		"frame-ancestors": "'self' https://huggingface.co",
		"script-src":      hash(text(d.elements("script")[0])), "style-src": hash(text(d.elements("style")[0])),
	}
	if diff := cmp.Diff(want, policy); diff != "" {
		t.Errorf("policy (-want +got):\n%s", diff)
	}
	for name, value := range map[string]string{
		"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Referrer-Policy": "no-referrer",
		"Content-Type": "text/html; charset=utf-8", "X-Frame-Options": "",
	} {
		if got := answer.Header().Get(name); got != value {
			t.Errorf("%s is %q, want %q", name, got, value)
		}
	}
	checkHarmless(t, answer.Body.String())
}

func hash(source string) string {
	sum := sha256.Sum256([]byte(source))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

func TestAnUnchangedPageIsNotSentAgain(t *testing.T) {
	t.Parallel()
	read := int64(1)
	opts := page.Options{Path: "/mcp", State: func() page.State {
		return page.State{Status: page.Starting, Phase: page.Pulling, Read: read, Total: 100}
	}}
	tag := ask(opts, nil).Header().Get("ETag")
	again := func(r *http.Request) { r.Header.Set("If-None-Match", tag) }
	if answer := ask(opts, again); answer.Code != http.StatusNotModified || answer.Body.Len() != 0 {
		t.Errorf("unchanged, the page answers %d with %d bytes", answer.Code, answer.Body.Len())
	}
	read = 2
	if answer := ask(opts, again); answer.Code != http.StatusOK || !strings.Contains(answer.Body.String(), "2 of 100 B") {
		t.Errorf("changed, the page answers %d", answer.Code)
	}
}

// TestTheAddressIsThatOfTheRequest shows what the page makes of the headers
// that tell by which name and scheme it was asked for.
func TestTheAddressIsThatOfTheRequest(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, host, proto, path, want string
	}{
		{"a plain name", "localhost:8000", "", "/mcp", "http://localhost:8000/mcp"},
		{"behind a proxy with TLS", "acme-mcp.hf.space", "https", "/mcp", "https://acme-mcp.hf.space/mcp"},
		{"behind two proxies", "mcp.example.com", "https, http", "/mcp", "https://mcp.example.com/mcp"},
		{"an unknown scheme", "mcp.example.com", "javascript", "/mcp", "http://mcp.example.com/mcp"},
		{"IPv6", "[::1]:8000", "", "/mcp", "http://[::1]:8000/mcp"},
		{"a host that is none", `a"><script>`, "", "/mcp", "http://HOST/mcp"},
		{"a host for a shell", "$(reboot)", "", "/mcp", "http://HOST/mcp"},
		{"a host with a user", "mcp.example.com@evil.example", "", "/mcp", "http://HOST/mcp"},
		{"a path for a shell", "localhost", "", "/$(reboot)`a`!\"\\<b>", "http://localhost/%24%28reboot%29%60a%60%21%22%5C%3Cb%3E"},
		{"a path with all sorts of things", "localhost", "", "/a b/ü?#%", "http://localhost/a%20b/%C3%BC%3F%23%25"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			opts := serving(weather())
			opts.Path = tt.path
			answer := ask(opts, func(r *http.Request) {
				r.Host = tt.host
				r.Header.Set("X-Forwarded-Proto", tt.proto)
			})
			if got := parse(t, answer.Body.String()).byID("endpoint"); got != tt.want {
				t.Errorf("the endpoint is %q, want %q", got, tt.want)
			}
		})
	}
}

func TestTheURLIsWhatAProxySays(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, host, proto, prefix, want string }{
		{"all of it", "mcp.example.com", "https", "/weather", "https://mcp.example.com/weather/mcp"},
		{"a slash at the end", "", "", "/weather/", "http://inner:8000/weather/mcp"},
		{"two proxies: the outer one is first", "mcp.example.com, inner", "https, http", "/a, /b", "https://mcp.example.com/a/mcp"},
		{"a host for a shell", "$(reboot)", "", "", "http://inner:8000/mcp"},
		{"a host with a user", "u@evil.example", "", "", "http://inner:8000/mcp"},
		{"a scheme that is none", "", "javascript", "", "http://inner:8000/mcp"},
		{"a prefix for a shell", "", "", "/$(reboot)", "http://inner:8000/mcp"},
		{"a prefix that is a host", "", "", "//evil.example", "http://inner:8000/mcp"},
		{"a prefix that never ends", "", "", "/" + strings.Repeat("a", 600), "http://inner:8000/mcp"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			answer := ask(serving(weather()), func(r *http.Request) {
				r.Host = "inner:8000"
				for name, value := range map[string]string{"Host": tt.host, "Proto": tt.proto, "Prefix": tt.prefix} {
					r.Header.Set("X-Forwarded-"+name, value)
				}
			})
			if got := parse(t, answer.Body.String()).byID("endpoint"); got != tt.want {
				t.Errorf("the endpoint is %q, want %q", got, tt.want)
			}
		})
	}
}

func TestConfigurationsCanBePasted(t *testing.T) {
	t.Parallel()
	type entry struct {
		Type, URL, Command string
		Args               []string
		Env, Headers       map[string]string
	}
	for _, token := range []bool{false, true} {
		for _, host := range []string{"localhost:8000", "10.0.0.7:8000"} {
			t.Run(fmt.Sprintf("token %v, host %s", token, host), func(t *testing.T) {
				t.Parallel()
				opts := serving(weather())
				opts.NeedsToken = token
				url := "http://" + host + "/mcp"
				d := parse(t, ask(opts, func(r *http.Request) { r.Host = host }).Body.String())
				bearer, remote := map[string]string(nil), []string{"-y", "mcp-remote", url}
				command, asked, env := `claude mcp add --transport http weather-station "`+url+`"`, bearer, bearer
				shell := `npx -y mcp-remote "` + url + `"`
				if token {
					bearer = map[string]string{"Authorization": "Bearer YOUR_TOKEN"}
					asked = map[string]string{"Authorization": "Bearer ${input:weather-station-token}"}
					env = map[string]string{"AUTHORIZATION": "Bearer YOUR_TOKEN"}
					remote = append(remote, "--header", "Authorization:${AUTHORIZATION}")
					command += ` --header "Authorization: Bearer YOUR_TOKEN"`
					shell += ` --header "Authorization: Bearer YOUR_TOKEN"`
				}
				if host != "localhost:8000" {
					remote = append(remote, "--allow-http")
					shell += " --allow-http"
				}
				if got := d.byID("code-0"); got != command {
					t.Errorf("Claude Code: %s\nwant %s", got, command)
				}
				if got := d.byID("code-4"); got != shell {
					t.Errorf("mcp-remote: %s\nwant %s", got, shell)
				}
				for id, want := range map[string]entry{
					"code-1": {Command: "npx", Args: remote, Env: env},
					"code-2": {URL: url, Headers: bearer},
					"code-3": {Type: "http", URL: url, Headers: asked},
				} {
					var file struct {
						MCPServers, Servers map[string]entry
						Inputs              []struct{ Type, ID string }
					}
					if err := json.Unmarshal([]byte(d.byID(id)), &file); err != nil {
						t.Errorf("%s is no JSON: %v\n%s", id, err, d.byID(id))
						continue
					}
					servers := file.MCPServers
					if id == "code-3" {
						servers = file.Servers
						if (len(file.Inputs) == 1 && file.Inputs[0].ID == "weather-station-token") != token {
							t.Errorf("%s asks for %+v", id, file.Inputs)
						}
					}
					if diff := cmp.Diff(map[string]entry{"weather-station": want}, servers); diff != "" {
						t.Errorf("%s (-want +got):\n%s", id, diff)
					}
				}
			})
		}
	}
}

func TestAConnectorNeedsTLSAndNoToken(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		proto       string
		token, want bool
	}{{"https", false, true}, {"https", true, false}, {"http", false, false}} {
		opts := serving(weather())
		opts.NeedsToken = tt.token
		d := parse(t, ask(opts, func(r *http.Request) { r.Header.Set("X-Forwarded-Proto", tt.proto) }).Body.String())
		d.holds(tt.want, "Add custom connector")
	}
}

func TestAServerOfOldClientsOnlyIsConfiguredSo(t *testing.T) {
	t.Parallel()
	opts := serving(weather())
	opts.Path = ""
	d := open(t, opts)
	if got, want := d.byID("code-0"), `claude mcp add --transport sse weather-station "http://mcp.example.com/sse"`; got != want {
		t.Errorf("Claude Code: %s\nwant %s", got, want)
	}
	d.holds(true, `"type": "sse"`)
	d.holds(false, "for clients that know only")
}

func TestNamesInConfigurationsArePlain(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"Weather":                   "weather",
		`a"; rm -rf ~; "`:           "a-rm-rf",
		"--scope":                   "scope",
		"Wetter für Zürich (EU)":    "wetter-f-r-z-rich-eu",
		"天気":                        "mcp",
		strings.Repeat("long ", 40): "long-long-long-long-long-long-long-long",
	} {
		d := open(t, serving(&page.Server{Name: name}))
		got := regexp.MustCompile(`--transport http (\S+) "`).FindStringSubmatch(d.byID("code-0"))
		if got == nil || got[1] != want {
			t.Errorf("%q becomes %q, want %q", name, got, want)
		}
	}
}

func TestOffIsALineOfText(t *testing.T) {
	t.Parallel()
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		w := httptest.NewRecorder()
		page.Off().ServeHTTP(w, httptest.NewRequest(method, "/", nil))
		if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "text/plain; charset=utf-8" {
			t.Errorf("%s answers %d, %s", method, w.Code, w.Header().Get("Content-Type"))
		}
	}
}

// BenchmarkPage shows a page with 500 tools of five arguments each, and one
// without tools.
func BenchmarkPage(b *testing.B) {
	server := &page.Server{Name: "large"}
	for i := range 500 {
		server.Tools = append(server.Tools, page.Tool{
			Name: fmt.Sprintf("tool_%d", i), Description: strings.Repeat("It does something. ", 10),
			InputSchema: json.RawMessage(`{"properties":{"a":{"type":"string"},"b":{"type":"string"},"c":{"type":"string"},"d":{"type":"string"},"e":{"type":"string"}}}`),
		})
	}
	for name, opts := range map[string]page.Options{"500 tools": serving(server), "no tools": serving(nil)} {
		b.Run(name, func(b *testing.B) {
			handler := page.New(opts)
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			for b.Loop() {
				w := httptest.NewRecorder()
				handler.ServeHTTP(w, r)
				b.SetBytes(int64(w.Body.Len()))
			}
		})
	}
}
