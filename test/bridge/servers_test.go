//nolint:staticcheck // SA1019: what the SDK calls deprecated is served all the same
package bridge_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/drengskapur/fastmcp-runner/test/mcpclients"
	"github.com/drengskapur/fastmcp-runner/test/packages"
)

// The file server of the MCP project.
const filesystemServer = "@modelcontextprotocol/server-filesystem"

func TestAFileServer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "notes.txt"), []byte("zwölf\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	b := start(t, nil, nodeServer(t, filesystemServer, "2026.8.31", dir)...)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for _, tt := range []struct {
		path, want string
	}{
		{filepath.Join(dir, "notes.txt"), `"text": "zwölf\n"`},
		{"/etc/passwd", "outside allowed directories"},
	} {
		// For what the server refuses the inspector has an exit status.
		out, err := mcpclients.Inspect(ctx, b.url, "http", "--method", "tools/call", "--tool-name", "read_text_file", "--tool-arg", "path="+tt.path)
		if !strings.Contains(string(out), tt.want) {
			t.Errorf("%s: %v, %s, want %s", tt.path, err, out, tt.want)
		}
	}
}

// fastmcpServer returns the command of a server on a version of FastMCP.
func fastmcpServer(t *testing.T, version string) (environ, command []string) {
	t.Helper()
	dir, err := packages.PyPI(context.Background(), "fastmcp=="+version)
	if err != nil {
		t.Fatal(err)
	}
	return []string{"PYTHONPATH=" + dir, "FASTMCP_CHECK_FOR_UPDATES=off"}, []string{"python3", filepath.Join("testdata", "server.py")}
}

// asked is a client of the Go SDK that answers all that it is asked.
func asked(heard chan<- string) *mcp.Client {
	client := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, &mcp.ClientOptions{
		CreateMessageHandler: func(context.Context, *mcp.CreateMessageRequest) (*mcp.CreateMessageResult, error) {
			return &mcp.CreateMessageResult{Model: "none", Role: "assistant", Content: &mcp.TextContent{Text: "sampled"}}, nil
		},
		ElicitationHandler: func(context.Context, *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
			return &mcp.ElicitResult{Action: "accept", Content: map[string]any{"value": "elicited"}}, nil
		},
		ProgressNotificationHandler: func(context.Context, *mcp.ProgressNotificationClientRequest) { heard <- "progress" },
		LoggingMessageHandler:       func(context.Context, *mcp.LoggingMessageRequest) { heard <- "log" },
	})
	client.AddRoots(&mcp.Root{URI: "file:///home/ada", Name: "home"})
	return client
}

func TestAFastMCPServer(t *testing.T) {
	t.Parallel()
	for _, version := range []string{mcpclients.NewestFastMCP, mcpclients.OlderFastMCP} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			askFastMCP(t, version)
		})
	}
}

// askFastMCP has a server use all that it can ask of its client.
func askFastMCP(t *testing.T, version string) {
	t.Helper()
	environ, command := fastmcpServer(t, version)
	b := start(t, environ, command...)
	heard := make(chan string, 100)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	session, err := asked(heard).Connect(ctx, &mcp.StreamableClientTransport{Endpoint: b.url}, &mcp.ClientSessionOptions{ProtocolVersion: "2025-11-25"})
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	if err := session.SetLoggingLevel(ctx, &mcp.SetLoggingLevelParams{Level: "info"}); err != nil {
		t.Error(err)
	}
	params := &mcp.CallToolParams{Name: "ask"}
	params.SetProgressToken("ask")
	result, err := session.CallTool(ctx, params)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]mcp.Content{&mcp.TextContent{Text: "sampled | elicited | file:///home/ada"}}, result.Content); diff != "" {
		t.Errorf("ask: -want +got\n%s", diff)
	}
	for _, want := range []string{"progress", "log", "progress"} {
		if got := hear(ctx, heard); got != want {
			t.Errorf("heard %s, want %s", got, want)
		}
	}
	read, err := session.ReadResource(ctx, &mcp.ReadResourceParams{URI: "text://greeting"})
	if err != nil || read.Contents[0].Text != "héllo" {
		t.Errorf("resource: %+v, %v", read, err)
	}
	giveUp(ctx, t, session, heard)
}

// giveUp gives up a call, of which the server hears.
func giveUp(ctx context.Context, t *testing.T, session *mcp.ClientSession, heard <-chan string) {
	t.Helper()
	calling, cancel := context.WithCancel(ctx)
	defer cancel()
	params := &mcp.CallToolParams{Name: "wait"}
	params.SetProgressToken("wait")
	ended := make(chan error)
	go func() {
		_, err := session.CallTool(calling, params)
		ended <- err
	}()
	if got := hear(ctx, heard); got != "progress" {
		t.Errorf("heard %s, want progress", got)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("a call that was given up ends by: %v", err)
	}
	for ctx.Err() == nil {
		result, err := session.CallTool(ctx, &mcp.CallToolParams{Name: "were_given_up"})
		if err != nil {
			t.Fatal(err)
		}
		if text, ok := result.Content[0].(*mcp.TextContent); ok && text.Text == "1" {
			return
		}
	}
	t.Error("the server has not heard that a call was given up")
}

func hear(ctx context.Context, heard <-chan string) string {
	select {
	case got := <-heard:
		return got
	case <-ctx.Done():
		return "nothing"
	}
}

// The SDK's client repeats in a header what the tool's schema marks, once it
// has seen that; before, its call is refused, as the specification has it.
func TestTheSDKsClientRepeatsArgumentsInHeaders(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name, command := range map[string][]string{
		"a modern server": {modernServer.Path(t)}, "as if it were older": {self, "serve", "legacy", modernServer.Path(t)},
	} {
		b := start(t, nil, command...)
		session, err := asked(make(chan string, 1)).Connect(t.Context(), &mcp.StreamableClientTransport{Endpoint: b.url}, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer session.Close()
		call := &mcp.CallToolParams{Name: "test_x_mcp_header", Arguments: map[string]any{"region": "Hello, 世界"}}
		if result, err := session.CallTool(t.Context(), call); err == nil || !strings.Contains(err.Error(), "Header mismatch") {
			t.Errorf("%s: before the list: %+v, %v", name, result, err)
		}
		if _, err := session.ListTools(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		result, err := session.CallTool(t.Context(), call)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff([]mcp.Content{&mcp.TextContent{Text: "region=Hello, 世界"}}, result.Content); diff != "" {
			t.Errorf("%s: -want +got\n%s", name, diff)
		}
	}
}
