package bridge_test

import (
	"context"
	"fmt"
	"os"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// serveSDK is a server of the official SDK.
func serveSDK() int {
	server := mcp.NewServer(&mcp.Implementation{Name: "sdk", Version: "1"}, nil)
	type input struct {
		Text string `json:"text"`
	}
	mcp.AddTool(server, &mcp.Tool{Name: "echo"}, func(_ context.Context, _ *mcp.CallToolRequest, in input) (*mcp.CallToolResult, any, error) {
		return textResult(in.Text), nil, nil
	})
	mcp.AddTool(server, &mcp.Tool{Name: "everything"}, everything)
	if err := server.Run(context.Background(), &mcp.StdioTransport{}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func textResult(text string) *mcp.CallToolResult {
	return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: text}}}
}

// everything uses all that a server can ask of its client.
func everything(ctx context.Context, r *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
	err := r.Session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{ProgressToken: r.Params.GetProgressToken(), Progress: 0.5, Message: "half"})
	if err != nil {
		return nil, nil, err
	}
	if err := r.Session.Log(ctx, &mcp.LoggingMessageParams{Level: "info", Data: "logged"}); err != nil { //nolint:staticcheck // deprecated, but served
		return nil, nil, err
	}
	sampled, err := r.Session.CreateMessage(ctx, &mcp.CreateMessageParams{MaxTokens: 10}) //nolint:staticcheck // deprecated, but served
	if err != nil {
		return nil, nil, err
	}
	elicited, err := r.Session.Elicit(ctx, &mcp.ElicitParams{Message: "who?"})
	if err != nil {
		return nil, nil, err
	}
	text, ok := sampled.Content.(*mcp.TextContent)
	if !ok {
		return nil, nil, fmt.Errorf("sampled %T", sampled.Content)
	}
	return textResult(text.Text + " " + elicited.Action), nil, nil
}
