package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// protocol is the revision of MCP that the demonstration speaks: the last one
// that begins with initialize.
const protocol = "2025-11-25"

// converse is an MCP client's first conversation with the server.
func (d demo) converse(ctx context.Context, srv *server) (err error) {
	client := mcp.NewClient(&mcp.Implementation{Name: "demo", Version: "1.0.0"}, nil)
	transport := &mcp.StreamableClientTransport{Endpoint: srv.endpoint()}
	session, err := client.Connect(ctx, transport, &mcp.ClientSessionOptions{ProtocolVersion: protocol})
	if err != nil {
		return fmt.Errorf("cannot initialize: %w", err)
	}
	defer func() {
		if closeErr := session.Close(); err == nil {
			err = closeErr
		}
	}()
	init := session.InitializeResult()
	d.say("4. Talked MCP with it at %s:", srv.endpoint())
	d.say("       initialize: this is %s %s, protocol %s", init.ServerInfo.Name, init.ServerInfo.Version, init.ProtocolVersion)
	tools, err := session.ListTools(ctx, nil)
	if err != nil {
		return fmt.Errorf("cannot list tools: %w", err)
	}
	d.say("       tools/list: %s", strings.Join(toolNames(tools.Tools), ", "))
	if err := d.call(ctx, session, "greet", map[string]string{"name": "Ada"}); err != nil {
		return err
	}
	return d.call(ctx, session, "runtime_facts", map[string]string{})
}

// call calls one tool and shows the answer.
func (d demo) call(ctx context.Context, session *mcp.ClientSession, tool string, input map[string]string) error {
	result, err := session.CallTool(ctx, &mcp.CallToolParams{Name: tool, Arguments: input})
	if err != nil {
		return fmt.Errorf("cannot call %s: %w", tool, err)
	}
	output, err := json.Marshal(answer(result))
	if err != nil {
		return err
	}
	if result.IsError {
		return fmt.Errorf("the tool %s refuses: %s", tool, output)
	}
	d.say("       tools/call %s: %s", tool, output)
	return nil
}

// answer returns what a tool said: data if it speaks data, else its text.
func answer(result *mcp.CallToolResult) any {
	if result.StructuredContent != nil {
		return result.StructuredContent
	}
	return result.Content
}

// toolNames returns the names of tools.
func toolNames(tools []*mcp.Tool) []string {
	names := make([]string, len(tools))
	for i, tool := range tools {
		names[i] = tool.Name
	}
	return names
}
