package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// newServer returns the MCP server with its two tools.
func newServer() *mcp.Server {
	server := mcp.NewServer(&mcp.Implementation{Name: "greeter", Version: "1.0.0"}, nil)
	mcp.AddTool(server, &mcp.Tool{
		Name:        "greet",
		Description: "Greets somebody by name.",
	}, greet)
	mcp.AddTool(server, &mcp.Tool{
		Name:        "runtime_facts",
		Description: "Tells as whom and where this server runs, and the names of its environment variables.",
	}, runtimeFacts)
	return server
}

// person is the input of greet.
type person struct {
	Name string `json:"name" jsonschema:"whom to greet"`
}

// greeting is the output of greet.
type greeting struct {
	Text string `json:"text" jsonschema:"the greeting"`
}

func greet(_ context.Context, _ *mcp.CallToolRequest, who person) (*mcp.CallToolResult, greeting, error) {
	name := strings.TrimSpace(who.Name)
	if name == "" {
		return nil, greeting{}, fmt.Errorf("name %q: nobody to greet", who.Name)
	}
	return nil, greeting{Text: "Hello, " + name + "!"}, nil
}

// facts is the output of runtime_facts.
type facts struct {
	PID         int      `json:"pid" jsonschema:"process ID, 1 in a container"`
	UID         int      `json:"uid" jsonschema:"user ID"`
	GID         int      `json:"gid" jsonschema:"group ID"`
	Directory   string   `json:"directory" jsonschema:"working directory"`
	Environment []string `json:"environment" jsonschema:"names of the environment variables; no values, which may be secrets"`
}

func runtimeFacts(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, facts, error) {
	dir, err := os.Getwd()
	if err != nil {
		return nil, facts{}, err
	}
	return nil, facts{
		PID:         os.Getpid(),
		UID:         os.Getuid(),
		GID:         os.Getgid(),
		Directory:   dir,
		Environment: names(os.Environ()), //nolint:forbidigo // this tool is about the environment of its own process
	}, nil
}

// names returns the sorted names of the variables of an environment.
func names(environ []string) []string {
	list := make([]string, len(environ))
	for i, variable := range environ {
		list[i], _, _ = strings.Cut(variable, "=")
	}
	slices.Sort(list)
	return list
}
