//nolint:staticcheck // SA1019: what the SDK calls deprecated is served all the same
package mcpclients

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// GoSDK takes the client of the official Go SDK on a tour, over Streamable
// HTTP and in a revision of the protocol; an empty one is the newest that
// both sides speak.
func GoSDK(ctx context.Context, url, revision string) (Tour, error) {
	return cutOnce(url, func(url string) (Tour, error) {
		c := goClient{revision: revision, resumes: true, transport: func() mcp.Transport {
			return &mcp.StreamableClientTransport{Endpoint: url}
		}}
		return c.tour(ctx)
	})
}

// GoSDKOverSSE takes the same client on a tour over HTTP+SSE, whose endpoint
// is at the URL.
func GoSDKOverSSE(ctx context.Context, url string) (Tour, error) {
	c := goClient{revision: "2024-11-05", transport: func() mcp.Transport { return &mcp.SSEClientTransport{Endpoint: url} }}
	return c.tour(ctx)
}

// goClient is a client that answers all questions, and keeps what it hears.
type goClient struct {
	transport func() mcp.Transport
	revision  string
	resumes   bool // what breaks off, unless it is modern
	session   *mcp.ClientSession
	logs      heard
	updates   heard

	mu       sync.Mutex
	progress map[any][]string // by token
	told     chan struct{}    // has a token after progress
}

// heard is what a server has sent by itself.
type heard chan string

func (h heard) add(text string) {
	select {
	case h <- text:
	default: // nobody waits for so much
	}
}

// await returns what comes that contains a text.
func (h heard) await(ctx context.Context, want string) (string, error) {
	for {
		select {
		case text := <-h:
			if strings.Contains(text, want) {
				return want, nil
			}
		case <-ctx.Done():
			return "", fmt.Errorf("%q did not come: %w", want, context.Cause(ctx))
		}
	}
}

func (c *goClient) tour(ctx context.Context) (Tour, error) {
	c.logs, c.updates = make(heard, 100), make(heard, 100)
	c.progress, c.told = map[any][]string{}, make(chan struct{}, 1)
	var err error
	c.session, err = c.connect(ctx, mcp.ClientOptions{
		CreateMessageHandler: func(context.Context, *mcp.CreateMessageRequest) (*mcp.CreateMessageResult, error) {
			return &mcp.CreateMessageResult{Model: "none", Role: "assistant", Content: &mcp.TextContent{Text: sampled}}, nil
		},
		ElicitationHandler: func(context.Context, *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
			return &mcp.ElicitResult{Action: "accept", Content: map[string]any{"name": elicited}}, nil
		},
	})
	if err != nil {
		return nil, err
	}
	tour := Tour{}
	for _, stop := range c.stops() {
		got, err := stop.visit(ctx)
		if err != nil {
			return tour, errors.Join(fmt.Errorf("%s: %w", stop.feature, err), c.session.Close())
		}
		tour[stop.feature] = got
	}
	return tour, c.session.Close()
}

// connect connects a client that is able to do what the options say.
func (c *goClient) connect(ctx context.Context, opts mcp.ClientOptions) (*mcp.ClientSession, error) {
	opts.LoggingMessageHandler = func(_ context.Context, r *mcp.LoggingMessageRequest) { c.logs.add(fmt.Sprint(r.Params.Data)) }
	opts.ResourceUpdatedHandler = func(_ context.Context, r *mcp.ResourceUpdatedNotificationRequest) { c.updates.add(r.Params.URI) }
	opts.ProgressNotificationHandler = c.noteProgress
	client := mcp.NewClient(&mcp.Implementation{Name: "tour", Version: "1"}, &opts)
	client.AddRoots(&mcp.Root{URI: rootURI, Name: "home"})
	session, err := client.Connect(ctx, c.transport(), &mcp.ClientSessionOptions{ProtocolVersion: c.revision})
	if err != nil {
		return nil, fmt.Errorf("cannot connect: %w", err)
	}
	return session, nil
}

func (c *goClient) noteProgress(_ context.Context, r *mcp.ProgressNotificationClientRequest) {
	c.mu.Lock()
	defer c.mu.Unlock()
	token := r.Params.ProgressToken
	c.progress[token] = append(c.progress[token], fmt.Sprintf("%g/%g", r.Params.Progress, r.Params.Total))
	select {
	case c.told <- struct{}{}:
	default:
	}
}

// stop is where a tour stops.
type stop struct {
	feature Feature
	visit   func(context.Context) (string, error)
}

// stops returns the stops that this client can make in this revision.
func (c *goClient) stops() []stop {
	stops := []stop{
		{Tools, c.tools},
		{Call, c.echo},
		{Progress, c.count},
		{Resource, c.read},
		{Prompt, c.prompt},
		{Sampling, c.ask("trigger-sampling-request", map[string]any{"prompt": "?"}, sampled)},
		{Elicitation, c.ask("trigger-elicitation-request", nil, elicited)},
		{Roots, c.ask("get-roots-list", nil, rootURI)},
		{Log, c.log},
		{Update, c.update},
		{Cancel, c.cancel},
	}
	if c.resumes && !c.isModern() {
		stops = append(stops, stop{Resume, c.resume})
	}
	return stops
}

func (c *goClient) isModern() bool {
	return c.session.InitializeResult().ProtocolVersion >= "2026-07-28"
}

func (c *goClient) tools(ctx context.Context) (string, error) {
	var names []string
	for tool, err := range c.session.Tools(ctx, nil) {
		if err != nil {
			return "", err
		}
		if slices.Contains(conditional(), tool.Name) {
			names = append(names, tool.Name)
		}
	}
	slices.Sort(names)
	return strings.Join(names, " "), nil
}

func (c *goClient) echo(ctx context.Context) (string, error) {
	return c.call(ctx, &mcp.CallToolParams{Name: "echo", Arguments: map[string]any{"message": greeting}})
}

// call returns the text that a tool answers.
func (c *goClient) call(ctx context.Context, params *mcp.CallToolParams) (string, error) {
	result, err := c.session.CallTool(ctx, params)
	if err != nil {
		return "", err
	}
	var texts []string
	for _, content := range result.Content {
		if text, ok := content.(*mcp.TextContent); ok {
			texts = append(texts, text.Text)
		}
	}
	return strings.Join(texts, "\n"), nil
}

// long calls a tool that takes a time and tells its progress.
func (c *goClient) long(ctx context.Context, token string, n int, seconds float64) (string, error) {
	params := &mcp.CallToolParams{Name: "trigger-long-running-operation", Arguments: steps(n, seconds)}
	params.SetProgressToken(token)
	text, err := c.call(ctx, params)
	if err != nil {
		return "", err
	}
	// The SDK hands notifications on beside the answer.
	for len(c.progressOf(token)) < n {
		select {
		case <-c.told:
		case <-ctx.Done():
			return "", fmt.Errorf("after %s: %w", c.progressOf(token), context.Cause(ctx))
		}
	}
	return strings.Join(append(c.progressOf(token), excerpt(text, "completed")), " "), nil
}

func (c *goClient) progressOf(token string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.progress[token])
}

func (c *goClient) count(ctx context.Context) (string, error) {
	return c.long(ctx, "count", 3, 0.3)
}

func (c *goClient) read(ctx context.Context) (string, error) {
	result, err := c.session.ReadResource(ctx, &mcp.ReadResourceParams{URI: resourceURI})
	if err != nil {
		return "", err
	}
	return excerpt(result.Contents[0].Text, Everything()[Resource]), nil
}

func (c *goClient) prompt(ctx context.Context) (string, error) {
	result, err := c.session.GetPrompt(ctx, &mcp.GetPromptParams{Name: "simple-prompt"})
	if err != nil {
		return "", err
	}
	text, ok := result.Messages[0].Content.(*mcp.TextContent)
	if !ok {
		return "", fmt.Errorf("the prompt is %T", result.Messages[0].Content)
	}
	return text.Text, nil
}

// ask returns a stop at a tool that asks back, and that answers with what it
// was told.
func (c *goClient) ask(tool string, arguments any, want string) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		text, err := c.call(ctx, &mcp.CallToolParams{Name: tool, Arguments: arguments})
		return excerpt(text, want), err
	}
}

// log lets the server log something. A modern client asks for that with every
// call, and any other once.
func (c *goClient) log(ctx context.Context) (string, error) {
	params := &mcp.CallToolParams{Name: "toggle-simulated-logging"}
	if c.isModern() {
		params.Meta = mcp.Meta{mcp.MetaKeyLogLevel: "debug"}
	} else if err := c.session.SetLoggingLevel(ctx, &mcp.SetLoggingLevelParams{Level: "debug"}); err != nil {
		return "", err
	}
	if _, err := c.call(ctx, params); err != nil {
		return "", err
	}
	return c.logs.await(ctx, logged)
}

// update subscribes to a resource and lets the server change it. Without
// sessions that is for a client that cannot be asked back: only those meet at
// the same process of a server that is not modern itself.
func (c *goClient) update(ctx context.Context) (string, error) {
	session := c.session
	if c.isModern() {
		var err error
		if session, err = c.connect(ctx, mcp.ClientOptions{Capabilities: &mcp.ClientCapabilities{}}); err != nil {
			return "", err
		}
		defer session.Close()
	}
	if err := session.Subscribe(ctx, &mcp.SubscribeParams{URI: resourceURI}); err != nil {
		return "", err
	}
	if _, err := session.CallTool(ctx, &mcp.CallToolParams{Name: "toggle-subscriber-updates"}); err != nil {
		return "", err
	}
	return c.updates.await(ctx, resourceURI)
}

// cancel gives up a call when it has begun.
func (c *goClient) cancel(ctx context.Context) (string, error) {
	calling, giveUp := context.WithCancel(ctx)
	defer giveUp()
	go func() {
		for ctx.Err() == nil && len(c.progressOf("cancel")) == 0 {
			<-c.told
		}
		giveUp()
	}()
	params := &mcp.CallToolParams{Name: "trigger-long-running-operation", Arguments: steps(1000, 100)}
	params.SetProgressToken("cancel")
	if _, err := c.session.CallTool(calling, params); !errors.Is(err, context.Canceled) {
		return "", fmt.Errorf("a call that was given up ends by: %w", err)
	}
	echo, err := c.echo(ctx)
	return "given up, and " + echo, err
}

func (c *goClient) resume(ctx context.Context) (string, error) {
	return c.long(ctx, "resume", resumeSteps, 1)
}
