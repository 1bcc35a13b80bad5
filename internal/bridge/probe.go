package bridge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/drengskapur/fastmcp-runner/internal/bridge/jsonrpc"
)

const (
	// maxPages bounds how many pages of tools a server may have.
	maxPages = 20
	// maxTools bounds how many tools are kept.
	maxTools = 1000
	// toolsTime is how long a server may take to list its tools. It may ask
	// others for them, who are not there.
	toolsTime = 10 * time.Second
)

// Server is what a server says of itself.
type Server struct {
	// Revision is the revision of MCP that it has agreed to.
	Revision string
	// Name, Title and Version are those of its implementation.
	Name, Title, Version string
	// Instructions are its advice to language models.
	Instructions string
	// Tools are what it offers, as far as it says: if it does not, Untold is
	// why, which does not keep it from serving.
	Tools  []Tool
	Untold error
}

// Tool is a tool that a server offers.
type Tool struct {
	Name        string          `json:"name"`
	Title       string          `json:"title"`
	Description string          `json:"description"`
	InputSchema json.RawMessage `json:"inputSchema"`
}

// errProbed is why a session of Probe ends.
var errProbed = errors.New("the server was asked what it is")

// Probe starts a server, asks it what it is, and ends it. It shows whether the
// server can serve at all.
func (b *Bridge) Probe(ctx context.Context) (*Server, error) {
	s, err := b.openHidden(ctx, urgent, func(s *session, m jsonrpc.Message) {
		if m.Kind == jsonrpc.Request {
			s.decline(m)
		}
	})
	if err != nil {
		return nil, fmt.Errorf("cannot probe the server: %w", err)
	}
	defer b.end(s, errProbed, true)
	ctx, cancel := context.WithTimeoutCause(ctx, b.opts.Start, errSlow)
	defer cancel()
	server, err := s.inquire(ctx)
	if err != nil {
		return nil, fmt.Errorf("cannot probe the server: %w", err)
	}
	return server, nil
}

// inquire asks a server what it is. All but those that speak nothing older
// than the newest revision answer initialize.
func (s *session) inquire(ctx context.Context) (*Server, error) {
	server, meta := &Server{}, "{}"
	hello, err := s.introduce(ctx, []byte(legacyHello))
	info := hello.Field(hello.Result, "serverInfo")
	server.Revision = hello.Text(hello.Field(hello.Result, "protocolVersion"))
	if errors.Is(err, errRefused) {
		hello, err = s.ask(ctx, jsonrpc.Call([]byte(`"fastmcp-runner discover"`), "server/discover", []byte(modernMeta)))
		if versions, ok := supportedVersions(&hello); err == nil && ok {
			s.begin(versions[0])
			server.Revision, meta = versions[0], modernMeta
		}
		info = hello.Field(hello.Field(hello.Result, "_meta"), metaServer)
	}
	if err != nil {
		return nil, err
	}
	if hello.Result.Absent() {
		return nil, fmt.Errorf("%w: %s", errRefused, s.excerpt(hello.Bytes(hello.Error)))
	}
	server.Name = hello.Text(hello.Field(info, "name"))
	server.Title = hello.Text(hello.Field(info, "title"))
	server.Version = hello.Text(hello.Field(info, "version"))
	server.Instructions = hello.Text(hello.Field(hello.Result, "instructions"))
	if !hello.Field(hello.Field(hello.Result, "capabilities"), "tools").Absent() {
		ctx, cancel := context.WithTimeout(ctx, toolsTime)
		defer cancel()
		server.Tools, server.Untold = s.listTools(ctx, meta)
	}
	return server, s.why() // it may have crashed meanwhile
}

// listTools returns the tools of a server, of all pages.
func (s *session) listTools(ctx context.Context, params string) ([]Tool, error) {
	var tools []Tool
	fields := map[string]json.RawMessage{}
	if err := json.Unmarshal([]byte(params), &fields); err != nil {
		return nil, err
	}
	for page := range maxPages {
		answer, err := s.ask(ctx, jsonrpc.Call(fmt.Appendf(nil, `"fastmcp-runner tools %d"`, page), "tools/list", jsonrpc.Encode(fields)))
		if err != nil {
			return nil, err
		}
		if answer.Result.Absent() {
			return nil, fmt.Errorf("the server refuses: %s", s.excerpt(answer.Bytes(answer.Error)))
		}
		var result struct {
			Tools      []Tool          `json:"tools"`
			NextCursor json.RawMessage `json:"nextCursor"`
		}
		if err := json.Unmarshal(answer.Bytes(answer.Result), &result); err != nil {
			return nil, fmt.Errorf("cannot read the list of tools: %w", err)
		}
		tools = append(tools, result.Tools...)
		if len(result.NextCursor) == 0 || string(result.NextCursor) == "null" || len(tools) >= maxTools {
			break
		}
		fields["cursor"] = result.NextCursor
	}
	return tools[:min(len(tools), maxTools)], nil
}
