package browser_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/drengskapur/fastmcp-runner/test/program"
)

var (
	runner  = program.Compile("cmd/fastmcp-runner")
	greeter = program.Compile("examples/greeter")
)

// launch runs a fastmcp-runner until the test ends, and returns the URL of its
// page as soon as it answers.
func launch(t *testing.T, environ, args []string) string {
	t.Helper()
	r := runner.Start(t, program.FreePort(t), args, environ...)
	t.Cleanup(func() {
		if status, _ := r.End(syscall.SIGTERM); status != 0 {
			t.Errorf("the runner ends with %d", status)
		}
	})
	page := r.URL("/")
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		answer, err := http.Get(page)
		if err == nil {
			if err := answer.Body.Close(); err != nil {
				t.Error(err)
			}
			return page
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// bearer sends a token with every request.
type bearer string

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+string(b))
	return http.DefaultTransport.RoundTrip(r)
}

// TestThePageOfALocalServer takes what the page says to a client.
func TestThePageOfALocalServer(t *testing.T) {
	t.Parallel()
	url := launch(t, []string{"RUNNER_AUTH_TOKEN=open-sesame", "MCP_ENV_MCP_TRANSPORT=stdio"}, []string{"bridge", "--", greeter.Path(t)})
	tb := open(t, url, desk)
	tb.await("the server", "document.querySelector('h1').innerText === 'greeter'")
	tb.holds("Serving", "version 1.0.0", "YOUR_TOKEN")
	if strings.Contains(tb.text(), "Greets somebody") {
		t.Error("the tools are shown without the token")
	}
	tb.enter("bearer", "open-sesame\r")
	tb.await("the tools", "document.querySelectorAll('.tools > li').length === 2")
	tb.holds("greet", "Greets somebody by name.", "name", "string", "required", "whom to greet", "runtime_facts")

	client := &http.Client{Transport: bearer("open-sesame")}
	transport := &mcp.StreamableClientTransport{Endpoint: evaluate[string](tb, "document.getElementById('endpoint').innerText"), HTTPClient: client}
	session, err := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil).Connect(t.Context(), transport, nil)
	if err != nil {
		t.Fatal(err)
	}
	result, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: "greet", Arguments: map[string]any{"name": "Ada"}})
	if err := errors.Join(err, session.Close()); err != nil || !strings.Contains(fmt.Sprint(result.StructuredContent), "Hello, Ada!") {
		t.Errorf("greet: %+v, %v", result, err)
	}
}
