//nolint:staticcheck // SA1019: what the SDK calls deprecated is served all the same
package bridge_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/drengskapur/fastmcp-runner/internal/bridge"
)

func TestTheOfficialClientGetsEverything(t *testing.T) {
	t.Parallel()
	h := open(t, func(opts *bridge.Options) { opts.Command, opts.SSE = command("sdk"), bridge.SSEOn })
	for _, tt := range []struct {
		name      string
		version   string
		transport mcp.Transport
		want      []string
	}{
		{"Streamable HTTP", "2025-11-25", &mcp.StreamableClientTransport{Endpoint: h.url + "/mcp"}, []string{"progress half", "log logged"}},
		{"HTTP+SSE", "2024-11-05", &mcp.SSEClientTransport{Endpoint: h.url + "/sse"}, []string{"progress half", "log logged"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			heard := make(chan string, 10)
			client := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, &mcp.ClientOptions{
				ProgressNotificationHandler: func(_ context.Context, r *mcp.ProgressNotificationClientRequest) {
					heard <- "progress " + r.Params.Message
				},
				LoggingMessageHandler: func(_ context.Context, r *mcp.LoggingMessageRequest) { heard <- fmt.Sprint("log ", r.Params.Data) },
				CreateMessageHandler: func(context.Context, *mcp.CreateMessageRequest) (*mcp.CreateMessageResult, error) {
					return &mcp.CreateMessageResult{Content: &mcp.TextContent{Text: "sampled"}}, nil
				},
				ElicitationHandler: func(context.Context, *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
					return &mcp.ElicitResult{Action: "decline"}, nil
				},
			})
			session, err := client.Connect(t.Context(), tt.transport, &mcp.ClientSessionOptions{ProtocolVersion: tt.version})
			if err != nil {
				t.Fatal(err)
			}
			defer session.Close()
			if err := session.SetLoggingLevel(t.Context(), &mcp.SetLoggingLevelParams{Level: "debug"}); err != nil {
				t.Fatal(err)
			}
			params := &mcp.CallToolParams{Name: "everything"}
			params.SetProgressToken("token")
			result, err := session.CallTool(t.Context(), params)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(textResult("sampled decline").Content, result.Content); diff != "" {
				t.Errorf("result: -want +got\n%s", diff)
			}
			var got []string
			for range tt.want {
				got = append(got, <-heard)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("notifications: -want +got\n%s", diff)
			}
		})
	}
}

func TestTheOfficialClientWithoutSessions(t *testing.T) {
	t.Parallel()
	h := open(t, func(opts *bridge.Options) { opts.Command = command("sdk") })
	session, err := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil).
		Connect(t.Context(), &mcp.StreamableClientTransport{Endpoint: h.url + "/mcp"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	if id := session.ID(); id != "" {
		t.Errorf("session %q", id)
	}
	result, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: "echo", Arguments: map[string]string{"text": "hi"}})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(textResult("hi").Content, result.Content); diff != "" {
		t.Errorf("result: -want +got\n%s", diff)
	}
}
