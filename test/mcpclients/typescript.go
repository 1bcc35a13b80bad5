package mcpclients

import (
	"context"
	_ "embed" // for the program
	"os/exec"

	"github.com/drengskapur/fastmcp-runner/test/packages"
)

// typescriptPackage is the client of the official TypeScript SDK.
const typescriptPackage = "@modelcontextprotocol/client@2.4.0"

//go:embed tour.mjs
var typescriptProgram string

// TypeScriptSDK takes the client of the official TypeScript SDK on a tour over
// Streamable HTTP. Mode is "legacy" for a session, and "auto" for the newest
// revision that both sides speak.
func TypeScriptSDK(ctx context.Context, url, mode string) (Tour, error) {
	return cutOnce(url, func(url string) (Tour, error) { return typescript(ctx, url, "http", mode) })
}

// TypeScriptSDKOverSSE takes the same client on a tour over HTTP+SSE, whose
// endpoint is at the URL.
func TypeScriptSDKOverSSE(ctx context.Context, url string) (Tour, error) {
	return typescript(ctx, url, "sse", "legacy")
}

func typescript(ctx context.Context, url, transport, mode string) (Tour, error) {
	// What is fetched takes time of its own, which is not that of the tour.
	fetching := context.WithoutCancel(ctx)
	node, err := packages.Node(fetching)
	if err != nil {
		return nil, err
	}
	dir, err := packages.NPM(fetching, typescriptPackage)
	if err != nil {
		return nil, err
	}
	//nolint:gosec // G204: what tests ask for is no input
	cmd := exec.CommandContext(ctx, node, "--input-type=module", "--eval", typescriptProgram, "--", url, transport, mode, words())
	cmd.Dir = dir // from where it looks for the package
	return tourOf(cmd)
}
