package mcpclients

import (
	"context"
	_ "embed" // for the program
	"encoding/json"
	"errors"
	"fmt"
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
	cut, err := newCutter(url)
	if err != nil {
		return nil, err
	}
	defer cut.server.Close()
	tour, err := fastmcp(ctx, cut.url(url), "http", mode)
	if tour[Resume] != "" && cut.count() != 1 {
		err = errors.Join(err, fmt.Errorf("%d connections were cut, and one was to be", cut.count()))
	}
	return tour, err
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
	words, err := json.Marshal([]string{greeting, sampled, elicited, rootURI, resourceURI})
	if err != nil {
		return nil, err
	}
	//nolint:gosec // G204: what tests ask for is no input
	cmd := exec.CommandContext(ctx, "python3", "-c", fastmcpProgram, url, transport, mode, string(words))
	cmd.Env = append(cmd.Environ(), "PYTHONPATH="+dir, "FASTMCP_CHECK_FOR_UPDATES=off")
	out, err := cmd.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		err = fmt.Errorf("%w: %s", err, exit.Stderr)
	}
	tour := Tour{}
	if len(out) > 0 {
		err = errors.Join(err, json.Unmarshal(out, &tour))
	}
	return tour, err
}
