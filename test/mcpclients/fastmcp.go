package mcpclients

import (
	"context"
	_ "embed" // for the program
	"os/exec"

	"github.com/drengskapur/fastmcp-runner/test/packages"
)

// The versions of FastMCP whose clients go on tour, and whose servers are served.
const (
	NewestFastMCP = "4.2.3"
	OlderFastMCP  = "4.1.2"
)

//go:embed tour.py
var fastmcpProgram string

// FastMCP takes the client of a version of FastMCP on a tour over Streamable
// HTTP. Mode is "legacy" for a session, and "auto" for the newest revision that
// both sides speak.
func FastMCP(ctx context.Context, version, url, mode string) (Tour, error) {
	return cutOnce(url, func(url string) (Tour, error) { return fastmcp(ctx, version, url, "http", mode) })
}

// FastMCPOverSSE takes the same client on a tour over HTTP+SSE, whose endpoint
// is at the URL.
func FastMCPOverSSE(ctx context.Context, version, url string) (Tour, error) {
	return fastmcp(ctx, version, url, "sse", "legacy")
}

func fastmcp(ctx context.Context, version, url, transport, mode string) (Tour, error) {
	// What is fetched takes time of its own, which is not that of the tour.
	dir, err := packages.PyPI(context.WithoutCancel(ctx), "fastmcp=="+version)
	if err != nil {
		return nil, err
	}
	//nolint:gosec // G204: what tests ask for is no input
	cmd := exec.CommandContext(ctx, "python3", "-c", fastmcpProgram, url, transport, mode, words())
	cmd.Env = append(cmd.Environ(), "PYTHONPATH="+dir, "FASTMCP_CHECK_FOR_UPDATES=off")
	return tourOf(cmd)
}
