package e2e_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/drengskapur/fastmcp-runner/test/e2e/facts"
)

// answerTimeout bounds the time in which a server must answer, and a container
// must end.
const answerTimeout = 90 * time.Second

// start says how a container of the runner is started.
type start struct {
	image  string   // IMAGE
	runner string   // the tag of the runner's image; empty for the usual flavour
	env    []string // further variables
	args   []string // further arguments of docker run
}

// container is a container of the runner; it goes with the test.
type container struct {
	t    *testing.T
	lab  *lab
	id   string
	port int
}

// run starts a container.
func (l *lab) run(t *testing.T, s start) *container {
	t.Helper()
	if slices.Contains(s.args, onGVisor) {
		l.needGVisor(t)
	}
	c := &container{t: t, lab: l, port: freePort(t)}
	args := []string{"run", "--detach", "--network=host"}
	own := []string{"IMAGE=" + s.image, "PORT=" + strconv.Itoa(c.port), "MCP_HOST=127.0.0.1"}
	for _, variable := range slices.Concat(own, s.env) {
		args = append(args, "--env", variable)
	}
	c.id = c.lab.must(t, slices.Concat(args, s.args, []string{cmp.Or(s.runner, runnerTag)})...)
	t.Cleanup(c.remove)
	return c
}

// remove removes the container, and shows its log where the test failed.
func (c *container) remove() {
	if c.t.Failed() {
		c.t.Logf("the container's log:\n%s", lastLines(c.logs(), 40))
	}
	ctx, cancel := context.WithTimeout(context.Background(), promptly)
	defer cancel()
	if _, err := c.lab.engine.docker(ctx, "rm", "--force", "--volumes", c.id); err != nil {
		c.t.Error(err)
	}
}

// must runs a docker command that has to succeed.
func (l *lab) must(t *testing.T, args ...string) string {
	t.Helper()
	out, err := l.engine.docker(t.Context(), args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// freePort lets the kernel choose a port.
func freePort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return int(netip.MustParseAddrPort(listener.Addr().String()).Port())
}

// logs returns what the runner and the server printed.
func (c *container) logs() string {
	ctx, cancel := context.WithTimeout(context.Background(), promptly)
	defer cancel()
	out, err := c.lab.engine.command(ctx, "logs", c.id).CombinedOutput()
	if err != nil {
		c.t.Errorf("docker logs: %v", err)
	}
	return string(out)
}

// exec runs a command in the container, as the user of the server.
func (c *container) exec(command ...string) string {
	c.t.Helper()
	return c.lab.must(c.t, append([]string{"exec", "--user=1000:1000", c.id}, command...)...)
}

func (c *container) url(path string) string {
	return "http://127.0.0.1:" + strconv.Itoa(c.port) + path
}

// get asks the server for a path.
func (c *container) get(ctx context.Context, path string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url(path), http.NoBody)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, errors.Join(fmt.Errorf("%s: %s", path, resp.Status), resp.Body.Close())
	}
	return resp, nil
}

// waitReady waits until the server answers; a container that ended never will.
func (c *container) waitReady() {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), answerTimeout)
	defer cancel()
	err := poll(ctx, func(ctx context.Context) error {
		err := c.answers(ctx)
		if err == nil {
			return nil
		}
		if state := c.inspect("{{.State.Status}}"); state != "running" {
			cancel()
			return fmt.Errorf("the container is %s", state)
		}
		return err
	})
	if err != nil {
		c.t.Fatalf("the server does not answer: %v", err)
	}
}

// answers reports whether the server answers at all: not every one has a path
// for health checks.
func (c *container) answers(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url("/health"), http.NoBody)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// wait waits until the container has ended and returns the exit status.
func (c *container) wait() int {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), answerTimeout)
	defer cancel()
	out, err := c.lab.engine.docker(ctx, "wait", c.id)
	if err != nil {
		c.t.Fatal(err)
	}
	status, err := strconv.Atoi(out)
	if err != nil {
		c.t.Fatal(err)
	}
	return status
}

// inspect returns what a template picks out of docker inspect.
func (c *container) inspect(format string) string {
	c.t.Helper()
	return c.lab.must(c.t, "inspect", "--format", format, c.id)
}

// facts asks the probe.
func (c *container) facts() facts.Facts {
	c.t.Helper()
	resp, err := c.get(c.t.Context(), "/facts")
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	var f facts.Facts
	if err := json.NewDecoder(resp.Body).Decode(&f); err != nil {
		c.t.Fatal(err)
	}
	return f
}

// status returns /proc/1/status: the server as the kernel sees it.
func (c *container) status() map[string]string {
	c.t.Helper()
	return facts.Fields(c.exec("cat", "/proc/1/status"))
}

// streamable is the client's side of the usual transport.
func (c *container) streamable() mcp.Transport {
	return &mcp.StreamableClientTransport{Endpoint: c.url("/mcp")}
}

// sse is the client's side of the older one.
func (c *container) sse() mcp.Transport {
	return &mcp.SSEClientTransport{Endpoint: c.url("/mcp")}
}

// converse is a whole conversation of an MCP client: initialize, tools/list
// and one tools/call. It returns the server's name, the names of its tools and
// the text of the tool's answer.
func (c *container) converse(transport mcp.Transport, call *mcp.CallToolParams) conversation {
	c.t.Helper()
	client := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1.0.0"}, nil)
	session, err := client.Connect(c.t.Context(), transport, &mcp.ClientSessionOptions{ProtocolVersion: "2025-11-25"})
	if err != nil {
		c.t.Fatalf("cannot initialize: %v", err)
	}
	defer func() {
		if err := session.Close(); err != nil {
			c.t.Errorf("cannot end the session: %v", err)
		}
	}()
	talk := conversation{Server: session.InitializeResult().ServerInfo.Name}
	list, err := session.ListTools(c.t.Context(), nil)
	if err != nil {
		c.t.Fatalf("cannot list the tools: %v", err)
	}
	for _, tool := range list.Tools {
		talk.Tools = append(talk.Tools, tool.Name)
	}
	result, err := session.CallTool(c.t.Context(), call)
	if err != nil {
		c.t.Fatalf("cannot call %s: %v", call.Name, err)
	}
	if result.IsError {
		c.t.Fatalf("the tool %s refuses: %v", call.Name, result.Content)
	}
	for _, part := range result.Content {
		if text, ok := part.(*mcp.TextContent); ok {
			talk.Answer += text.Text
		}
	}
	return talk
}

// conversation is what came out of one.
type conversation struct {
	Server string
	Tools  []string
	Answer string
}
