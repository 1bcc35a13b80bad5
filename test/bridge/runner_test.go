package bridge_test

import (
	"context"
	"net"
	"os"
	"testing"
	"time"

	"github.com/drengskapur/fastmcp-runner/test/program"
)

// TestMain is a server as well: with the arguments "serve legacy" this binary
// hides from a server's clients that it is modern.
func TestMain(m *testing.M) {
	if len(os.Args) > 3 && os.Args[1] == "serve" && os.Args[2] == "legacy" {
		os.Exit(serveLegacy(os.Args[3]))
	}
	os.Exit(program.RunTests(m))
}

var (
	runner  = program.Compile("cmd/fastmcp-runner")
	greeter = program.Compile("examples/greeter")
)

// bridge is a "fastmcp-runner bridge" that serves.
type bridge struct {
	*program.Process
	// url is that of the endpoint, and base that of the host.
	url, base string
}

// start serves a command until the test ends.
func start(t *testing.T, environ []string, command ...string) *bridge {
	t.Helper()
	b := &bridge{Process: runner.Start(t, program.FreePort(t), append([]string{"bridge", "--"}, command...),
		append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}, environ...)...)}
	b.url, b.base = b.URL("/mcp"), b.URL("")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for !b.listens(ctx) {
		if ctx.Err() != nil {
			t.Fatal("the bridge does not listen")
		}
		time.Sleep(5 * time.Millisecond)
	}
	return b
}

// patience is how long a bridge may take to listen.
const patience = 30 * time.Second

// listens reports whether connections are taken.
func (b *bridge) listens(ctx context.Context) bool {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", "127.0.0.1:"+b.Port)
	return err == nil && conn.Close() == nil
}
