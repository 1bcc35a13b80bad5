package mcpclients

import (
	"context"
	_ "embed" // for the program
	"os/exec"

	"github.com/drengskapur/fastmcp-runner/test/packages"
)

// FastMCPVersion is the FastMCP whose client goes on tour.
const FastMCPVersion = "4.1.2"

//go:embed tour.py
var fastmcpProgram string

// FastMCP takes FastMCP's client on a tour over Streamable HTTP. Mode is
// "legacy" for a session, and "auto" for the newest revision that both sides
// speak.
func FastMCP(ctx context.Context, url, mode string) (Tour, error) {
	return cutOnce(url, func(url string) (Tour, error) { return fastmcp(ctx, url, "http", mode) })
}

// FastMCPOverSSE takes the same client on a tour over HTTP+SSE, whose endpoint
// is at the URL.
func FastMCPOverSSE(ctx context.Context, url string) (Tour, error) {
	return fastmcp(ctx, url, "sse", "legacy")
}

func fastmcp(ctx context.Context, url, transport, mode string) (Tour, error) {
	// What is fetched takes time of its own, which is not that of the tour.
	dir, err := packages.PyPI(context.WithoutCancel(ctx), "fastmcp=="+FastMCPVersion)
	if err != nil {
		return nil, err
	}
	//nolint:gosec // G204: what tests ask for is no input
	cmd := exec.CommandContext(ctx, "python3", "-c", fastmcpProgram, url, transport, mode, words())
	cmd.Env = append(cmd.Environ(), "PYTHONPATH="+dir, "FASTMCP_CHECK_FOR_UPDATES=off")
	return tourOf(cmd)
}
