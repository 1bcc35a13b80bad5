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

func TestFaultsOfWhatIsServed(t *testing.T) {
	t.Parallel()
	const (
		token    = "RUNNER_AUTH_TOKEN=open-sesame"
		opens    = " has no effect on a server that listens itself (MCP_TRANSPORT=streamable-http), which would stand open: unset it, and have the server check who comes; or set MCP_TRANSPORT=stdio if it speaks stdio"
		noOrigin = `RUNNER_ALLOWED_ORIGINS="app.example.com": "app.example.com" is not an origin such as https://mcp.example.com`
		health   = `MCP_PATH and HEALTHCHECK_PATH both take the path "/health": choose another one`
	)
	clash := []string{"PORT=80a", "MCP_PATH=/health", "RUNNER_ALLOWED_ORIGINS=app.example.com"}
	together := strings.Join([]string{health, `PORT="80a": not a number from 1 to 65535`, noOrigin}, "\n")
	for _, test := range []struct {
		name    string
		serves  config.Served
		environ []string
		want    string
	}{
		{"a token before a server that listens", config.Image, []string{token}, "RUNNER_AUTH_TOKEN" + opens},
		{"its file", config.Image, []string{"RUNNER_AUTH_TOKEN_FILE=/token"}, "RUNNER_AUTH_TOKEN_FILE" + opens},
		{"origins", config.Image, []string{"RUNNER_ALLOWED_ORIGINS=*"}, "RUNNER_ALLOWED_ORIGINS" + opens},
		{"what protects nothing", config.Image, []string{"RUNNER_SESSION_KEY=0123456789abcdef", "RUNNER_METRICS=on"}, ""},
		{"a transport that is none", config.Image, []string{"MCP_TRANSPORT=tcp", token}, `MCP_TRANSPORT="tcp": not one of streamable-http, sse, stdio`},
		{"a stdio server", config.Image, []string{"MCP_TRANSPORT=stdio", token}, ""},
		{"a command", config.Command, []string{"MCP_TRANSPORT=sse", token}, ""},
		{"nothing", config.Nothing, []string{token, "MCP_PATH=/health"}, ""},
		{"a clash where no bridge is", config.Image, []string{"MCP_PATH=/health"}, ""},
		{"all faults of a stdio server", config.Image, append(clash, "MCP_TRANSPORT=stdio"), together},
		{"all faults of a command", config.Command, clash, together},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			files := fstest.MapFS{"token": file("open-sesame\n")}
			_, err := config.Parse(config.Source{Environ: test.environ, Open: opener(files), Serves: test.serves})
			if test.want != "" {
				wantFault(t, err, test.want)
			} else if err != nil {
				t.Errorf("fault: %v", err)
			}
		})
	}
}
