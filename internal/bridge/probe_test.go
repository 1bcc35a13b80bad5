package bridge_test

import (
	"os"
	"strings"
	"testing"

	"github.com/drengskapur/fastmcp-runner/internal/bridge"
	"github.com/drengskapur/fastmcp-runner/internal/bridge/child"
)

func TestProbeAsksAServerWhatItIs(t *testing.T) {
	t.Parallel()
	h := open(t, func(opts *bridge.Options) { opts.Command = command("sdk") })
	server, err := h.Probe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if server.Name != "sdk" || server.Version != "1" || server.Revision != "2025-11-25" {
		t.Errorf("server: %+v", server)
	}
	if len(server.Tools) != 2 || server.Tools[0].Name != "echo" || !strings.Contains(string(server.Tools[0].InputSchema), `"text"`) {
		t.Errorf("tools: %+v", server.Tools)
	}
	eventually(t, "the server has ended", func() bool { return h.Health().Sessions == 0 })
	if health := h.Health(); health.Failing || health.Err != nil {
		t.Errorf("health: %+v", health)
	}
}

func TestProbeSaysWhyAServerDoesNotStart(t *testing.T) {
	t.Parallel()
	h := open(t, func(opts *bridge.Options) { opts.Command = command("fail") })
	for range 3 {
		_, err := h.Probe(t.Context())
		if err == nil || !strings.Contains(err.Error(), "cannot find the database") {
			t.Errorf("Probe: %v", err)
		}
	}
	eventually(t, "the crash loop shows", func() bool { return h.Health().Failing })
}

// refuser is a server that has tools and lists none, because of those that it
// gets them from.
func refuser(opts *bridge.Options) {
	const script = `read hello
echo '{"jsonrpc":"2.0","id":"fastmcp-runner initialize","result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"script","version":"1"}}}'
read initialized; read list
echo '{"jsonrpc":"2.0","id":"fastmcp-runner tools 0","error":{"code":-32603,"message":"401 for token hunter2'$(head -c 100000 /dev/zero | tr '\0' x)'"}}'
cat`
	opts.Command = child.Command{Path: "/bin/sh", Argv: []string{"sh", "-c", script}, Env: os.Environ()}
	opts.Mask = strings.NewReplacer("hunter2", "[redacted]").Replace
}

func TestAServerThatListsNoToolsServes(t *testing.T) {
	t.Parallel()
	h := open(t, refuser)
	server, err := h.Probe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if server.Name != "script" || server.Tools != nil || server.Untold == nil {
		t.Fatalf("server: %+v", server)
	}
	why := server.Untold.Error()
	if !strings.HasPrefix(why, `the server refuses: {"code":-32603,"message":"401 for token [redacted]xxx`) || len(why) > 3<<10 {
		t.Errorf("%d bytes: %.200s", len(why), why)
	}
	if health := h.Health(); health.Failing || health.Err != nil {
		t.Errorf("health: %+v", health)
	}
}
