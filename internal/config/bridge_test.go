package config_test

import (
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drengskapur/fastmcp-runner/internal/config"
)

// bridge is what a Config says of a bridge.
type bridge struct {
	Transport                config.Transport
	Token, Key               string
	SSE                      config.SSE
	Shared, Page, Metrics    bool
	MaxSessions              int
	IdleTimeout, Grace       time.Duration
	BridgeGiven, ServersView []string
}

func bridgeOf(c *config.Config) bridge {
	return bridge{
		c.Transport, c.AuthToken.Reveal(), c.SessionKey.Reveal(), c.SSE, c.Shared, c.Page, c.Metrics,
		c.MaxSessions, c.IdleTimeout, c.Grace, c.BridgeGiven, c.ServerEnv,
	}
}

func TestBridgeVariables(t *testing.T) {
	t.Parallel()
	defaults := bridge{Transport: "streamable-http", SSE: "on", Page: true, IdleTimeout: 30 * time.Minute, Grace: 4 * time.Second}
	all := bridge{
		"stdio", "open-sesame", "0123456789abcdef", "only", true, false, true, 7, time.Hour, time.Second,
		[]string{
			"RUNNER_AUTH_TOKEN", "RUNNER_SESSION_KEY_FILE", "RUNNER_BRIDGE_SSE", "RUNNER_BRIDGE_SHARED", "RUNNER_MAX_SESSIONS",
			"RUNNER_IDLE_TIMEOUT", "RUNNER_GRACE", "RUNNER_PAGE", "RUNNER_METRICS",
		},
		nil,
	}
	files := fstest.MapFS{"key": &fstest.MapFile{Data: []byte("0123456789abcdef\n")}}
	for _, test := range []struct {
		name    string
		environ []string
		want    bridge
	}{
		{"the defaults", nil, defaults},
		{"all of them, which no server sees", []string{
			"MCP_TRANSPORT=stdio", "RUNNER_AUTH_TOKEN=open-sesame", "RUNNER_SESSION_KEY_FILE=/key", "RUNNER_BRIDGE_SSE=only",
			"RUNNER_BRIDGE_SHARED=on", "RUNNER_MAX_SESSIONS=7", "RUNNER_IDLE_TIMEOUT=1h", "RUNNER_GRACE=1s", "RUNNER_PAGE=off",
			"RUNNER_METRICS=on", "RUNNER_ALLOWED_ORIGINS=",
		}, all},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			cfg, err := parse(files, test.environ...)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, bridgeOf(cfg)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestAKeyInAFileIsLongEnoughToo(t *testing.T) {
	t.Parallel()
	files := fstest.MapFS{"key": &fstest.MapFile{Data: []byte("hunter22\n")}}
	_, err := parse(files, "RUNNER_SESSION_KEY_FILE=/key")
	wantFault(t, err, `RUNNER_SESSION_KEY_FILE: the key is shorter than 16 bytes: "openssl rand -hex 32" makes one`)
	if strings.Contains(err.Error(), "hunter22") {
		t.Error("the fault shows the key")
	}
}
