// Package proxy_test puts nginx, with its defaults, between clients and
// "fastmcp-runner bridge".
package proxy_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/drengskapur/fastmcp-runner/test/daemon"
	"github.com/drengskapur/fastmcp-runner/test/program"
)

var (
	runner  = program.Compile("cmd/fastmcp-runner")
	greeter = program.Compile("examples/greeter")
)

func TestMain(m *testing.M) { os.Exit(program.RunTests(m)) }

// patience is how long something may take that should come at once.
const patience = 20 * time.Second

// configuration is that of docs/deployment.md, and an upstream that has a name.
// Workers are who the master is, so that they can enter the test's directory.
const configuration = `
daemon off;
%[1]s
pid %[2]s/pid;
error_log stderr;
events {}
http {
    access_log off;
    client_body_temp_path %[2]s/body;
    proxy_temp_path %[2]s/proxy;
    fastcgi_temp_path %[2]s/fastcgi;
    uwsgi_temp_path %[2]s/uwsgi;
    scgi_temp_path %[2]s/scgi;
    upstream mcp { server 127.0.0.1:%[3]s; }
    server {
        listen 127.0.0.1:%[4]s;
        location /weather/ {
            proxy_pass http://127.0.0.1:%[3]s/;
            proxy_read_timeout 1h;
            proxy_set_header X-Forwarded-Host $http_host;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header X-Forwarded-Prefix /weather;
        }
        location /named/ { proxy_pass http://mcp/; }
    }
}
`

// behind starts a runner and nginx before it, and returns nginx' address.
func behind(t *testing.T, environ ...string) string {
	t.Helper()
	nginx, err := exec.LookPath("nginx")
	if err != nil {
		nginx = "/usr/sbin/nginx" // Debian's, which is not in every user's PATH
	}
	if _, err := os.Stat(nginx); err != nil {
		t.Skip("nginx is not installed")
	}
	upstream, port := program.FreePort(t), program.FreePort(t)
	r := runner.Start(t, upstream, []string{"bridge", "--", greeter.Path(t)}, append(environ, "MCP_ENV_MCP_TRANSPORT=stdio")...)
	awaitHealthy(t, r.URL("/health"))
	dir, user := t.TempDir(), ""
	if os.Geteuid() == 0 {
		user = "user root;"
	}
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, fmt.Appendf(nil, configuration, user, dir, upstream, port), 0o600); err != nil {
		t.Fatal(err)
	}
	proxy, err := daemon.Start(filepath.Join(dir, "log"), exec.CommandContext(context.WithoutCancel(t.Context()), nginx, "-e", "stderr", "-p", dir, "-c", file))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := proxy.Stop(); err != nil {
			t.Error(err)
		}
	})
	err = proxy.Ready(t.Context(), func(ctx context.Context) error {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", "127.0.0.1:"+port)
		if err != nil {
			return err
		}
		return conn.Close()
	})
	if err != nil {
		t.Fatal(err)
	}
	return "http://127.0.0.1:" + port
}

func awaitHealthy(t *testing.T, url string) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		status, body, err := get(t, url)
		if err == nil && status == http.StatusOK {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the server does not become healthy: %d %s, %v", status, body, err)
		}
	}
}

func get(t *testing.T, url string) (status int, body string, err error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		return 0, "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text), err
}

// bearer adds the token to requests.
type bearer string

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+string(b))
	return http.DefaultTransport.RoundTrip(r)
}

// greet is a whole conversation over each transport.
func greet(t *testing.T, base, token string) {
	t.Helper()
	client := &http.Client{Transport: bearer(token)}
	for revision, transport := range map[string]mcp.Transport{
		"2025-11-25": &mcp.StreamableClientTransport{Endpoint: base + "mcp", HTTPClient: client},
		"2026-07-28": &mcp.StreamableClientTransport{Endpoint: base + "mcp/", HTTPClient: client},
		"2024-11-05": &mcp.SSEClientTransport{Endpoint: base + "sse", HTTPClient: client},
		"2025-03-26": &mcp.SSEClientTransport{Endpoint: base + "sse/", HTTPClient: client},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		err := converse(ctx, revision, transport)
		cancel()
		if err != nil {
			t.Errorf("%s by %T: %v", revision, transport, err)
		}
	}
}

func converse(ctx context.Context, revision string, transport mcp.Transport) error {
	client := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil)
	session, err := client.Connect(ctx, transport, &mcp.ClientSessionOptions{ProtocolVersion: revision})
	if err != nil {
		return err
	}
	got, err := session.CallTool(ctx, &mcp.CallToolParams{Name: "greet", Arguments: map[string]any{"name": "Ada"}})
	if err == nil && !strings.Contains(fmt.Sprint(got.StructuredContent), "Hello, Ada!") {
		err = fmt.Errorf("the greeting is %v", got.StructuredContent)
	}
	return errors.Join(err, session.Close())
}

func TestBelowAPrefix(t *testing.T) {
	t.Parallel()
	base := behind(t) + "/weather/"
	greet(t, base, "")
	status, body, err := get(t, base)
	if want := base + "mcp"; err != nil || status != http.StatusOK || !strings.Contains(body, want) {
		t.Errorf("the page: %d, %v, want that it shows %s:\n%s", status, err, want, body)
	}
}

func TestAnUpstreamWithAName(t *testing.T) {
	t.Parallel()
	t.Run("is refused with the cure, which helps", func(t *testing.T) {
		t.Parallel()
		status, body, err := get(t, behind(t)+"/named/mcp")
		const cure = `RUNNER_ALLOWED_ORIGINS=\"http://mcp\"`
		if err != nil || status != http.StatusForbidden || !strings.Contains(body, cure) {
			t.Fatalf("got %d %s, %v; want 403 and %s", status, body, err, cure)
		}
		greet(t, behind(t, strings.ReplaceAll(cure, `\"`, ""))+"/named/", "")
	})
	t.Run("needs nothing where a token is asked for", func(t *testing.T) {
		t.Parallel()
		base := behind(t, "RUNNER_AUTH_TOKEN=open-sesame") + "/named/"
		greet(t, base, "open-sesame")
		if status, body, err := get(t, base+"mcp"); err != nil || status != http.StatusUnauthorized {
			t.Errorf("without the token: %d %s, %v", status, body, err)
		}
	})
}
