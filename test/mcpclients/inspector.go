package mcpclients

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/drengskapur/fastmcp-runner/test/packages"
)

// The inspector of the MCP project.
const (
	inspectorPackage = "@modelcontextprotocol/inspector"
	inspectorVersion = "2.12.0"
)

// inspectorProgram returns Node and the inspector that it runs. What is fetched
// takes time of its own, which is not that of a tour.
func inspectorProgram(ctx context.Context) (node, inspector string, err error) {
	ctx = context.WithoutCancel(ctx)
	if node, err = packages.Node(ctx); err != nil {
		return "", "", err
	}
	dir, err := packages.NPM(ctx, inspectorPackage+"@"+inspectorVersion)
	return node, filepath.Join(dir, "node_modules", inspectorPackage, "clients", "launcher", "build", "index.js"), err
}

// Inspect has the inspector do one thing at a URL, which its arguments say,
// and returns what it prints: the JSON text of the result. Transport is "http"
// or "sse".
func Inspect(ctx context.Context, url, transport string, args ...string) ([]byte, error) {
	node, inspector, err := inspectorProgram(ctx)
	if err != nil {
		return nil, err
	}
	home, err := os.MkdirTemp("", "inspector-") // it keeps a catalogue of servers
	if err != nil {
		return nil, err
	}
	//nolint:gosec // G204: what tests ask for is no input
	cmd := exec.CommandContext(ctx, node, append([]string{inspector, "--cli", url, "--transport", transport}, args...)...)
	cmd.Env = append(cmd.Environ(), "HOME="+home, "MCP_CATALOG_PATH="+filepath.Join(home, "mcp.json"))
	out, err := cmd.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		err = fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, exit.Stderr)
	}
	return out, errors.Join(err, os.RemoveAll(home))
}

// Inspected is what the inspector's tour is like. It cannot be asked back, so
// that it gets fewer tools, and has a session for each stop.
func Inspected() Tour {
	tour := Everything()
	return Tour{Tools: "echo", Call: tour[Call], Resource: tour[Resource], Prompt: tour[Prompt]}
}

// Inspector takes the inspector on a tour.
func Inspector(ctx context.Context, url, transport string) (Tour, error) {
	type text struct{ Text string }
	var got struct {
		Tools    []struct{ Name string }
		Content  []text
		Contents []text
		Messages []struct{ Content text }
	}
	tour := Tour{}
	for _, stop := range []struct {
		feature Feature
		args    []string
		see     func() string
	}{
		{Tools, []string{"--method", "tools/list"}, func() string {
			var names []string
			for _, tool := range got.Tools {
				if slices.Contains(conditional(), tool.Name) {
					names = append(names, tool.Name)
				}
			}
			slices.Sort(names)
			return strings.Join(names, " ")
		}},
		{
			Call,
			[]string{"--method", "tools/call", "--tool-name", "echo", "--tool-arg", "message=" + greeting},
			func() string { return got.Content[0].Text },
		},
		{
			Resource,
			[]string{"--method", "resources/read", "--uri", resourceURI},
			func() string { return excerpt(got.Contents[0].Text, Everything()[Resource]) },
		},
		{
			Prompt,
			[]string{"--method", "prompts/get", "--prompt-name", "simple-prompt"},
			func() string { return got.Messages[0].Content.Text },
		},
	} {
		out, err := Inspect(ctx, url, transport, stop.args...)
		if err == nil {
			err = json.Unmarshal(out, &got)
		}
		if err != nil {
			return tour, fmt.Errorf("%s: %w", stop.feature, err)
		}
		tour[stop.feature] = stop.see()
	}
	return tour, nil
}
