package main

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

func TestSettings(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		environ map[string]string
		want    settings
	}{
		{"without variables it is a server for this machine alone", nil, settings{"streamable-http", "127.0.0.1", "8000", "/mcp"}},
		{
			"the runner's variables count",
			map[string]string{"MCP_TRANSPORT": "sse", "HOST": "0.0.0.0", "PORT": "7860", "MCP_PATH": "/there"},
			settings{"sse", "0.0.0.0", "7860", "/there"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := settingsFrom(func(name string) string { return tt.environ[name] })
			if got != tt.want {
				t.Errorf("settingsFrom(%v) = %+v, want %+v", tt.environ, got, tt.want)
			}
		})
	}
}

func TestAnUnknownTransportIsAnError(t *testing.T) {
	t.Parallel()
	err := serve(t.Context(), settings{transport: "carrier-pigeon"})
	if err == nil || !strings.Contains(err.Error(), `"carrier-pigeon"`) {
		t.Errorf("serve = %v, want an error that names the transport", err)
	}
}

// connect returns a client's session with a new server.
func connect(t *testing.T) *mcp.ClientSession {
	t.Helper()
	ours, theirs := mcp.NewInMemoryTransports()
	if _, err := newServer().Connect(t.Context(), ours, nil); err != nil {
		t.Fatal(err)
	}
	client := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1.0.0"}, nil)
	session, err := client.Connect(t.Context(), theirs, nil)
	if err != nil {
		t.Fatal(err)
	}
	return session
}

// call calls a tool and decodes the data of its answer.
func call[T any](t *testing.T, session *mcp.ClientSession, tool string, input map[string]string) (output T, refused bool) {
	t.Helper()
	result, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: tool, Arguments: input})
	if err != nil {
		t.Fatal(err)
	}
	if result.IsError {
		return output, true
	}
	data, err := json.Marshal(result.StructuredContent)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &output); err != nil {
		t.Fatal(err)
	}
	return output, false
}

func TestGreet(t *testing.T) {
	t.Parallel()
	session := connect(t)
	got, refused := call[greeting](t, session, "greet", map[string]string{"name": " Ada "})
	if want := (greeting{Text: "Hello, Ada!"}); refused || got != want {
		t.Errorf("greet Ada = %+v, refused %t; want %+v", got, refused, want)
	}
	if got, refused := call[greeting](t, session, "greet", map[string]string{"name": " "}); !refused {
		t.Errorf("greet nobody = %+v, want a refusal", got)
	}
}

func TestFactsNameVariablesAndKeepTheirValues(t *testing.T) {
	t.Setenv("GREETER_SECRET", "hush")
	got, refused := call[facts](t, connect(t), "runtime_facts", map[string]string{})
	if refused || got.PID == 0 || got.Directory == "" {
		t.Errorf("runtime_facts = %+v, refused %t", got, refused)
	}
	all := strings.Join(got.Environment, " ")
	if !strings.Contains(all, "GREETER_SECRET") || strings.Contains(all, "hush") {
		t.Errorf("the environment is told as %q, want names and no values", all)
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	got := names([]string{"B=2", "A=1=1", "C"})
	if diff := cmp.Diff([]string{"A", "B", "C"}, got); diff != "" {
		t.Errorf("names differ (-want +got):\n%s", diff)
	}
}

func TestAnOpenStreamDoesNotKeepTheServerFromStopping(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	stream := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
		<-r.Context().Done()
	})
	ended := make(chan error, 1)
	go func() { ended <- serveUntil(ctx, newHTTPServer(ctx, stream), listener) }()

	resp, err := http.Get("http://" + listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	stop()
	if err := <-ended; err != nil {
		t.Errorf("serveUntil = %v, want nil", err)
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Errorf("the stream was cut off, not ended: %v", err)
	}
}
