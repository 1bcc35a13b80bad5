package bridge_test

import (
	"context"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drengskapur/fastmcp-runner/test/mcpclients"
	"github.com/drengskapur/fastmcp-runner/test/packages"
)

var everything = sync.OnceValues(func() (string, error) {
	return packages.NPM(context.Background(), mcpclients.EverythingPackage+"@"+mcpclients.EverythingVersion)
})

// startEverything serves the reference server.
func startEverything(t *testing.T) *bridge {
	t.Helper()
	node, err := node()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := everything()
	if err != nil {
		t.Fatal(err)
	}
	return start(t, nil, node, filepath.Join(dir, "node_modules", mcpclients.EverythingPackage, "dist", "index.js"), "stdio")
}

func TestRealClientsGetEverything(t *testing.T) {
	t.Parallel()
	b := startEverything(t)
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
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
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
