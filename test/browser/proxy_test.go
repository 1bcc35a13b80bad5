package browser_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/drengskapur/fastmcp-runner/internal/page"
)

// TestThePageBehindAProxy: a proxy may put the page into a folder, and end TLS
// without telling so. Only the browser knows the URL then.
func TestThePageBehindAProxy(t *testing.T) {
	t.Parallel()
	s := newStage(t, page.Options{}, launching, nil)
	// A client that is told "http" and a host that is not this machine.
	front := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.TLS, r.Host = nil, "internal.example"
		http.StripPrefix("/proxy/8000", s.site).ServeHTTP(w, r)
	})
	plain := httptest.NewServer(front)
	t.Cleanup(plain.Close)
	tls := httptest.NewTLSServer(front)
	t.Cleanup(tls.Close)
	for _, base := range []string{plain.URL, tls.URL} {
		s.set(launching, nil)
		tb := open(t, base+"/proxy/8000/?a=b#c", desk)
		want := base + "/proxy/8000/mcp"
		if got := evaluate[string](tb, "document.getElementById('endpoint').textContent"); got != want {
			t.Errorf("the endpoint is %q, want %q", got, want)
		}
		s.set(serving, weather())
		tb.await("the server", "document.querySelector('h1').innerText === 'Weather'")
		command := evaluate[string](tb, "document.getElementById('code-4').textContent")
		if plain := strings.Contains(command, "--allow-http"); plain != strings.HasPrefix(base, "http:") || !strings.Contains(command, want) {
			t.Errorf("mcp-remote is to be started by %s", command)
		}
	}
}
