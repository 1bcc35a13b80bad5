package browser_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drengskapur/fastmcp-runner/internal/page"
)

// stage serves the real page with whatever state it is given.
type stage struct {
	url    string
	site   http.Handler
	state  atomic.Pointer[page.State]
	server atomic.Pointer[page.Server]
}

func newStage(t *testing.T, opts page.Options, state page.State, server *page.Server) *stage {
	t.Helper()
	s := &stage{}
	s.set(state, server)
	opts.State = func() page.State { return *s.state.Load() }
	opts.Server = s.server.Load
	opts.Path, opts.SSEPath, opts.Version = "/mcp", "/sse", "1.0.0"
	mux := http.NewServeMux()
	mux.Handle("/{$}", page.New(opts))
	s.site = mux
	site := httptest.NewServer(mux)
	t.Cleanup(site.Close)
	s.url = site.URL + "/"
	return s
}

func (s *stage) set(state page.State, server *page.Server) {
	s.server.Store(server)
	s.state.Store(&state)
}

const image = "ghcr.io/acme/weather:1.4"

// The states of a server, one after the other.
var (
	resolving = page.State{Status: page.Starting, Phase: page.Resolving, Image: image}
	pulling   = page.State{Status: page.Starting, Phase: page.Pulling, Image: image, Read: 52_100_000, Total: 128_400_000}
	launching = page.State{Status: page.Starting, Phase: page.Launching, Image: image}
	serving   = page.State{Status: page.OK, Image: image}
	failing   = page.State{
		Status: page.Failing, Image: image, RetryAfter: 8 * time.Second,
		Reason: "the server has ended: exit status 1; its last words: Traceback (most recent call last): | " +
			"File \"/app/server.py\", line 7, in <module> | import wheather | ModuleNotFoundError: No module named 'wheather'",
	}
)

// locked are the options of a page whose tools need the token "sesame".
func locked() page.Options {
	return page.Options{
		NeedsToken: true,
		MayUse:     func(r *http.Request) bool { return r.Header.Get("Authorization") == "Bearer sesame" },
	}
}

func weather() *page.Server {
	return &page.Server{
		Revision: "2025-11-25", Name: "weather", Title: "Weather", Version: "1.4.0",
		Instructions: "Ask for a forecast before you ask for warnings.\nPlaces are names or coordinates.",
		Tools: []page.Tool{
			{
				Name: "get_forecast", Title: "Forecast", Description: "The forecast for a place, for up to ten days.\n\nReturns one line a day.",
				InputSchema: json.RawMessage(`{"type":"object","required":["place"],"properties":{
					"place":{"type":"string","description":"A name, such as Reykjavík, or coordinates."},
					"days":{"type":"integer","default":3,"description":"How many days to look ahead."},
					"units":{"enum":["metric","imperial"],"default":"metric","type":"string"},
					"area":{"anyOf":[{"type":"object","properties":{"north":{"type":"number"},"west":{"type":"number"}},"required":["north"]},{"type":"null"}],
						"default":null,"description":"A part of the map."}}}`),
			},
			{
				Name: "get_warnings", Description: "Warnings that are in force.",
				InputSchema: json.RawMessage(`{"type":"object","properties":{"since":{"type":"string","format":"date-time"},"regions":{"type":"array","items":{"type":"string"}}}}`),
			},
			{Name: "list_stations", Description: "All stations.", InputSchema: json.RawMessage(`{"type":"object"}`)},
		},
	}
}

// many is a server with 43 tools, one of which has a name without a break.
func many() *page.Server {
	s := weather()
	for i := range 40 {
		s.Tools = append(s.Tools, page.Tool{
			Name: fmt.Sprintf("station_%02d_read", i), Description: "Reads the instruments of one station. " + strings.Repeat("It has many words. ", i%7),
			InputSchema: json.RawMessage(`{"type":"object","properties":{"instrument":{"type":"string"}}}`),
		})
	}
	s.Tools[20].Name = strings.Repeat("unbroken", 14)
	return s
}

// hostile is a server whose texts would do something if they were taken for
// HTML, and that has long words, and words that run the other way.
func hostile() *page.Server {
	const attack = `</code></details><script>window.hit = 1</script><img src="https://evil.example/x" onerror="window.hit = 1"><style>body{display:none}</style>`
	long := strings.Repeat("Donaudampfschifffahrt", 20)
	return &page.Server{
		Name: attack, Title: attack + long, Version: attack, Revision: attack, Instructions: attack + "\n" + long,
		Tools: []page.Tool{
			{Name: attack, Title: attack, Description: attack + "\u202e" + long, InputSchema: json.RawMessage(`{"properties":{"` + long + `":{
				"type":"` + long + `","description":"` + long + `","default":"` + long + `","enum":["<script>window.hit = 1</script>","` + long + `"]}}}`)},
			{Name: "ابحث", Description: "يبحث عن الطقس."},
		},
	}
}
