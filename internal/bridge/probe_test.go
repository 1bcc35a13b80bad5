package bridge_test

import (
	"strings"
	"testing"

	"github.com/drengskapur/fastmcp-runner/internal/bridge"
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
