package e2e_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// asUser are the two ways in which platforms start the container.
func asUser() map[string][]string {
	return map[string][]string{
		"as root with Docker's default profile": nil,
		"as UID 1000":                           {"--user", "1000"},
	}
}

func TestRealServersAnswerAnMCPClient(t *testing.T) {
	t.Parallel()
	l := openLab(t)
	add := &mcp.CallToolParams{Name: "add", Arguments: map[string]any{"a": 40, "b": 2}}
	fastmcp := conversation{Server: "calculator", Tools: []string{"add", "python_version"}, Answer: "42"}
	greet := &mcp.CallToolParams{Name: "greet", Arguments: map[string]any{"name": "Ada"}}
	greeter := conversation{Server: "greeter", Tools: []string{"greet", "runtime_facts"}, Answer: `{"text":"Hello, Ada!"}`}
	tests := []struct {
		name      string
		path      string
		image     func() (v1.Image, error)
		env       []string
		transport func(*container) mcp.Transport
		call      *mcp.CallToolParams
		want      conversation
	}{
		{
			name: "FastMCP with its packages in site-packages", path: "servers/site-packages:1", image: l.sitePackages,
			transport: (*container).streamable, call: add, want: fastmcp,
		},
		{
			name: "FastMCP in a virtual environment", path: "servers/venv:1", image: l.venv,
			transport: (*container).streamable, call: add, want: fastmcp,
		},
		{
			name: "a static server", path: "servers/greeter:1", image: l.greeter,
			transport: (*container).streamable, call: greet, want: greeter,
		},
		{
			name: "a static server over SSE", path: "servers/greeter-sse:1", image: l.greeter,
			env: []string{"MCP_TRANSPORT=sse"}, transport: (*container).sse, call: greet, want: greeter,
		},
	}
	for _, tt := range tests {
		for user, args := range asUser() {
			t.Run(tt.name+" "+user, func(t *testing.T) {
				t.Parallel()
				c := l.serve(t, tt.path, tt.image, start{env: tt.env, args: args})
				c.waitReady()
				got := c.converse(tt.transport(c), tt.call)
				slices.Sort(got.Tools)
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Errorf("the conversation differs (-want +got):\n%s", diff)
				}
				checkUnprivileged(t, c.status(), args == nil)
			})
		}
	}
}

func TestNodeServerIsRefusedBeforeALayerIsFetched(t *testing.T) {
	t.Parallel()
	l := openLab(t)
	img := must(t, l.node)
	l.store.push(t, "servers/node:1", img)
	f := &front{hold: isLayer(t, img)}
	f.open(t, l.store)
	c := l.run(t, start{image: f.ref("servers/node:1")})

	if got := c.wait(); got != 127 {
		t.Errorf("exit status %d, want 127: the command is not found", got)
	}
	select {
	case <-f.held:
		t.Error("a layer was fetched for a command that cannot start")
	default:
	}
	wantLog(t, c, `"node"`)
}
