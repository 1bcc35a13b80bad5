// Package bridge_test runs "fastmcp-runner bridge" as its users do, with real
// stdio servers and clients that are not ours.
//
// What is proven where; the rules of the transports, one by one, are in
// docs/bridge-conformance.md with the tests of internal/bridge:
//
//	the official suite, both versions                      TestConformance
//	a call with a token, and the end by SIGTERM            TestBridgeServesAStdioServer
//	the Go SDK, FastMCP's client and the inspector         TestRealClientsGetEverything
//	  against server-everything, in three transports:
//	  tools, call, progress, log, sampling, elicitation,
//	  roots, resource, subscription, prompt, cancellation,
//	  resumption after a cut connection
//	the inspector against server-filesystem                TestAFileServer
//	the Go SDK against a FastMCP server that asks back,    TestAFastMCPServer
//	  and that hears of cancellations
package bridge_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// bearer sends a token with every request.
type bearer string

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+string(b))
	return http.DefaultTransport.RoundTrip(r)
}

func greet(ctx context.Context, endpoint string, client *http.Client) (string, error) {
	transport := &mcp.StreamableClientTransport{Endpoint: endpoint, HTTPClient: client}
	session, err := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil).Connect(ctx, transport, nil)
	if err != nil {
		return "", err
	}
	result, err := session.CallTool(ctx, &mcp.CallToolParams{Name: "greet", Arguments: map[string]any{"name": "Ada"}})
	if err != nil {
		return "", errors.Join(err, session.Close())
	}
	return fmt.Sprint(result.StructuredContent), session.Close()
}

func TestBridgeServesAStdioServer(t *testing.T) {
	t.Parallel()
	b := start(t, []string{"MCP_ENV_MCP_TRANSPORT=stdio", "RUNNER_AUTH_TOKEN=open-sesame"}, greeter.Path(t))
	got, err := greet(t.Context(), b.url, &http.Client{Transport: bearer("open-sesame")})
	if err != nil || !strings.Contains(got, "Hello, Ada!") {
		t.Errorf("greet = %q, %v, want a greeting", got, err)
	}
	if got, err := greet(t.Context(), b.url, &http.Client{Transport: bearer("wrong")}); err == nil {
		t.Errorf("with a wrong token, greet = %q, want an error", got)
	}
	if code, _ := b.End(syscall.SIGTERM); code != 0 {
		t.Errorf("after SIGTERM the exit code is %d, want 0", code)
	}
}
