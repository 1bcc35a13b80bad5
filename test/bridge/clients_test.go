package bridge_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drengskapur/fastmcp-runner/test/mcpclients"
	"github.com/drengskapur/fastmcp-runner/test/packages"
)

// nodeServer returns the command of a server that npm has.
func nodeServer(t *testing.T, name, version string, args ...string) []string {
	t.Helper()
	node, err := packages.Node(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	dir, err := packages.NPM(t.Context(), name+"@"+version)
	if err != nil {
		t.Fatal(err)
	}
	return append([]string{node, filepath.Join(dir, "node_modules", name, "dist", "index.js")}, args...)
}

func TestRealClientsGetEverything(t *testing.T) {
	t.Parallel()
	b := start(t, nil, nodeServer(t, mcpclients.EverythingPackage, mcpclients.EverythingVersion, "stdio")...)
	for _, tt := range []struct {
		name string
		take func(context.Context) (mcpclients.Tour, error)
		want mcpclients.Tour
	}{
		{
			"the Go SDK, 2025-11-25",
			func(ctx context.Context) (mcpclients.Tour, error) { return mcpclients.GoSDK(ctx, b.url, "2025-11-25") },
			mcpclients.Everything(),
		},
		{
			"the Go SDK, 2026-07-28",
			func(ctx context.Context) (mcpclients.Tour, error) { return mcpclients.GoSDK(ctx, b.url, "") },
			mcpclients.Everything(mcpclients.Resume),
		},
		{
			"the Go SDK, HTTP+SSE",
			func(ctx context.Context) (mcpclients.Tour, error) { return mcpclients.GoSDKOverSSE(ctx, b.base+"/sse") },
			mcpclients.Everything(mcpclients.Resume),
		},
		{
			"FastMCP with a session",
			func(ctx context.Context) (mcpclients.Tour, error) {
				return mcpclients.FastMCP(ctx, mcpclients.NewestFastMCP, b.url, "legacy")
			},
			mcpclients.Everything(),
		},
		{
			"FastMCP without sessions",
			func(ctx context.Context) (mcpclients.Tour, error) {
				return mcpclients.FastMCP(ctx, mcpclients.NewestFastMCP, b.url, "auto")
			},
			mcpclients.Everything(mcpclients.Update, mcpclients.Resume),
		},
		{
			"FastMCP, HTTP+SSE",
			func(ctx context.Context) (mcpclients.Tour, error) {
				return mcpclients.FastMCPOverSSE(ctx, mcpclients.NewestFastMCP, b.base+"/sse")
			},
			mcpclients.Everything(mcpclients.Resume),
		},
		{
			"an older FastMCP with a session",
			func(ctx context.Context) (mcpclients.Tour, error) {
				return mcpclients.FastMCP(ctx, mcpclients.OlderFastMCP, b.url, "legacy")
			},
			mcpclients.Everything(),
		},
		{
			"an older FastMCP without sessions",
			func(ctx context.Context) (mcpclients.Tour, error) {
				return mcpclients.FastMCP(ctx, mcpclients.OlderFastMCP, b.url, "auto")
			},
			mcpclients.Everything(mcpclients.Update, mcpclients.Resume),
		},
		{
			"an older FastMCP, HTTP+SSE",
			func(ctx context.Context) (mcpclients.Tour, error) {
				return mcpclients.FastMCPOverSSE(ctx, mcpclients.OlderFastMCP, b.base+"/sse")
			},
			mcpclients.Everything(mcpclients.Resume),
		},
		{
			"the TypeScript SDK with a session",
			func(ctx context.Context) (mcpclients.Tour, error) {
				return mcpclients.TypeScriptSDK(ctx, b.url, "legacy")
			},
			mcpclients.Everything(),
		},
		{
			"the TypeScript SDK without sessions",
			func(ctx context.Context) (mcpclients.Tour, error) {
				return mcpclients.TypeScriptSDK(ctx, b.url, "auto")
			},
			mcpclients.Everything(mcpclients.Update, mcpclients.Resume),
		},
		{
			"the TypeScript SDK, HTTP+SSE",
			func(ctx context.Context) (mcpclients.Tour, error) {
				return mcpclients.TypeScriptSDKOverSSE(ctx, b.base+"/sse")
			},
			mcpclients.Everything(mcpclients.Progress, mcpclients.Resume),
		},
		{
			"the inspector",
			func(ctx context.Context) (mcpclients.Tour, error) { return mcpclients.Inspector(ctx, b.url, "http") },
			mcpclients.Inspected(),
		},
		{
			"the inspector, HTTP+SSE",
			func(ctx context.Context) (mcpclients.Tour, error) {
				return mcpclients.Inspector(ctx, b.base+"/sse", "sse")
			},
			mcpclients.Inspected(),
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			got, err := tt.take(ctx)
			if err != nil {
				t.Error(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}
