package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"golang.org/x/sys/unix"

	"github.com/drengskapur/fastmcp-runner/test/e2e/facts"
)

// asStdio adds what has the runner stay in front of the server.
func asStdio(s start) start {
	s.env = append([]string{"MCP_TRANSPORT=stdio"}, s.env...)
	return s
}

// respond asks for a path, by any method, and returns the whole response.
func (c *container) respond(method, path, body string, headers ...string) (status int, header http.Header, text string, err error) {
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.url(path), strings.NewReader(body))
	if err != nil {
		return 0, nil, "", err
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, "", err
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	return resp.StatusCode, resp.Header, string(content), err
}

// waitServing waits until the health check says that the server has answered.
func (c *container) waitServing() {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), answerTimeout)
	defer cancel()
	err := poll(ctx, func(context.Context) error {
		status, _, body, err := c.respond(http.MethodGet, "/health", "")
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("the health is %d %s", status, body)
		}
		if state := c.inspect("{{.State.Status}}"); err != nil && state != "running" {
			cancel()
			return fmt.Errorf("the container is %s", state)
		}
		return err
	})
	if err != nil {
		c.t.Fatalf("the server never serves: %v", err)
	}
}

// stopBridge stops the container and checks that it ends as a bridge does.
func (c *container) stopBridge() {
	c.t.Helper()
	if c.inspect("{{.HostConfig.Runtime}}") == gvisorRuntime {
		c.lab.must(c.t, "stop", c.id) // its processes are not the machine's
	} else if took := c.terminate(); took > 4*time.Second {
		c.t.Errorf("the bridge took %s to end, want less than 4s", took)
	}
	if got := c.wait(); got != 0 {
		c.t.Errorf("exit status %d, want 0", got)
	}
}

// terminate ends the container's first process, and returns how long that took:
// without the engine, which takes a time of its own before and after that.
func (c *container) terminate() time.Duration {
	c.t.Helper()
	pid, err := strconv.Atoi(c.inspect("{{.State.Pid}}"))
	if err != nil {
		c.t.Fatal(err)
	}
	begin := time.Now()
	if err := unix.Kill(pid, unix.SIGTERM); err != nil {
		c.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(c.t.Context(), answerTimeout)
	defer cancel()
	err = poll(ctx, func(context.Context) error {
		stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		if err != nil || bytes.Contains(stat, []byte(") Z ")) {
			return nil //nolint:nilerr // it is gone
		}
		return errors.New("it lives")
	})
	if err != nil {
		c.t.Errorf("the first process does not end: %v", err)
	}
	return time.Since(begin)
}

func TestStdioServersAnswerAnMCPClient(t *testing.T) {
	t.Parallel()
	l := openLab(t)
	bare := []string{"--user=1000", "--cap-drop=ALL", "--security-opt=no-new-privileges"}
	whole := []string{"RUNNER_MODE=rootfs"}
	greet := &mcp.CallToolParams{Name: "greet", Arguments: map[string]any{"name": "Ada"}}
	add := &mcp.CallToolParams{Name: "add", Arguments: map[string]any{"a": 40, "b": 2}}
	const hello = `{"text":"Hello, Ada!"}`
	for _, tt := range []struct {
		name, path string
		image      func() (v1.Image, error)
		s          start
		transport  func(*container) mcp.Transport
		call       *mcp.CallToolParams
		answer     string
		user       string // of the server
	}{
		{
			name: "FastMCP in the usual flavour, as UID 1000", path: "stdio/site-packages:1", image: l.sitePackages,
			s: start{args: []string{"--user=1000"}}, call: add, answer: "42", user: "1000:1000",
		},
		{
			name: "FastMCP in the usual flavour, as root", path: "stdio/site-packages:1", image: l.sitePackages,
			call: add, answer: "42", user: "1000:1000",
		},
		{
			name: "a static server by HTTP+SSE, as root", path: "stdio/greeter:1", image: l.greeter,
			transport: (*container).legacy, call: greet, answer: hello, user: "1000:1000",
		},
		{
			name: "server-everything, as UID 1000 without capabilities", path: "stdio/node:1", image: l.whole.node,
			s:    start{runner: rootfsTag, args: bare, env: []string{`RUNNER_CMD=["node","dist/index.js","stdio"]`}},
			call: &mcp.CallToolParams{Name: "echo", Arguments: map[string]any{"message": "Ada"}}, answer: "Echo: Ada", user: "1000:0",
		},
		{
			name: "server-filesystem, as UID 1000", path: "stdio/files:1", image: l.whole.files,
			s:    start{runner: rootfsTag, args: []string{"--user=1000"}},
			call: &mcp.CallToolParams{Name: "read_text_file", Arguments: map[string]any{"path": "/srv/notes"}}, answer: imagesNotes, user: "1000:1000",
		},
		{
			name: "FastMCP on its own Debian, as root", path: "stdio/python:1", image: l.whole.python,
			s: start{runner: rootfsTag}, call: add, answer: "42", user: "1000:1000",
		},
		{
			name: "another user of the image's, as UID 1000", path: "stdio/named:1", image: l.whole.named,
			s: start{runner: rootfsTag, args: []string{"--user=1000"}}, call: greet, answer: hello, user: "4321:8765",
		},
		{
			name: "an entrypoint that expects root, as UID 1000", path: "stdio/gosu:1", image: l.whole.gosu,
			s: start{runner: rootfsTag, args: []string{"--user=1000"}}, call: greet, answer: hello, user: "1000:1000",
		},
		{
			name: "on gVisor, as UID 1000", path: "stdio/alpine:1", image: l.whole.alpine,
			s: start{runner: rootfsTag, args: []string{"--user=1000", onGVisor}}, call: greet, answer: hello, user: "1000:0",
		},
		{
			name: "on gVisor, in a root of its own by chroot", path: "stdio/alpine:1", image: l.whole.alpine,
			s: start{args: []string{onGVisor}, env: whole}, call: greet, answer: hello, user: "1000:1000",
		},
		{
			name: "in a root of its own by chroot", path: "stdio/alpine:1", image: l.whole.alpine,
			s: start{env: whole}, call: greet, answer: hello, user: "1000:1000",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := l.serve(t, tt.path, tt.image, asStdio(tt.s))
			c.waitServing()
			transport := (*container).streamable
			if tt.transport != nil {
				transport = tt.transport
			}
			if got := c.converse(transport(c), tt.call); got.Answer != tt.answer {
				t.Errorf("the answer is %q, want %q", got.Answer, tt.answer)
			}
			c.begin() // an open session, whose server has to be ended
			// A child that was just started is still on its way to its user.
			ctx, cancel := context.WithTimeout(t.Context(), answerTimeout)
			defer cancel()
			err := poll(ctx, func(context.Context) error {
				if got := c.user(); got != tt.user {
					return fmt.Errorf("the server runs as %s, want %s", got, tt.user)
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
			c.stopBridge()
		})
	}
}

// legacy is the client's side of HTTP+SSE at the bridge.
func (c *container) legacy() mcp.Transport { return &mcp.SSEClientTransport{Endpoint: c.url("/sse")} }

// begin opens a session and returns its id.
func (c *container) begin() string {
	c.t.Helper()
	const hello = `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"test","version":"1"}}}`
	status, header, body, err := c.post(hello)
	id := header.Get("Mcp-Session-Id")
	if err != nil || status != http.StatusOK || id == "" {
		c.t.Fatalf("initialize: %d %s, %v", status, body, err)
	}
	if status, _, body, err := c.post(`{"jsonrpc":"2.0","method":"notifications/initialized"}`, "Mcp-Session-Id", id); err != nil || status != http.StatusAccepted {
		c.t.Fatalf("initialized: %d %s, %v", status, body, err)
	}
	return id
}

// post sends a message to the endpoint.
func (c *container) post(body string, headers ...string) (status int, header http.Header, text string, err error) {
	return c.respond(http.MethodPost, "/mcp", body, append(headers,
		"Accept", "application/json, text/event-stream", "Content-Type", "application/json")...)
}

// report is what the spy tells.
type report struct {
	facts.Facts

	Leads bool
	Seen  map[string]string
}

func (c *container) look() report {
	c.t.Helper()
	var got report
	talk := c.converse(c.streamable(), &mcp.CallToolParams{Name: "look"})
	if err := json.NewDecoder(bytes.NewReader([]byte(talk.Answer))).Decode(&got); err != nil {
		c.t.Fatalf("%v: %s", err, talk.Answer)
	}
	return got
}

func TestAStdioServerSeesNothingOfTheBridge(t *testing.T) {
	t.Parallel()
	l := openLab(t)
	const password = "correct-horse-battery-staple"
	const mayMount = "--security-opt=apparmor=unconfined"
	whole := []string{"RUNNER_MODE=rootfs"}
	for _, tt := range []struct {
		name string
		s    start
		root bool // the runner can become the user
		// parent says that the bridge is not process 1.
		parent bool
	}{
		{name: "in the usual flavour, as root", root: true},
		{name: "in the usual flavour, as UID 1000", s: start{args: []string{"--user=1000"}}},
		{name: "in place, as UID 1000", s: start{runner: rootfsTag, args: []string{"--user=1000"}}},
		{name: "in place, as UID 1000 without capabilities", s: start{runner: rootfsTag, args: []string{"--user=1000:1000", "--cap-drop=ALL", "--security-opt=no-new-privileges"}}},
		{name: "in place, as root", s: start{runner: rootfsTag}, root: true},
		{name: "by mounts", s: start{env: whole, args: []string{"--cap-add=SYS_ADMIN", mayMount}}, root: true},
		{name: "in a user namespace", s: start{env: whole, args: []string{"--user=1000:1000", "--security-opt=seccomp=unconfined", mayMount}}, parent: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l.store.push(t, "stdio/spy:1", must(t, l.spy))
			f := &front{user: "reader", password: password}
			f.open(t, l.store)
			s := asStdio(tt.s)
			s.image = f.ref("stdio/spy:1")
			s.env = append(s.env, "REGISTRY_USER=reader", "REGISTRY_PASSWORD="+password, "RUNNER_AUTH_TOKEN=")
			c := l.run(t, s)
			c.waitServing()
			c.begin()
			got := c.look()
			checkStdio(t, got, tt.root, tt.parent)
			for _, entry := range got.Environ {
				if strings.Contains(entry, password) || strings.HasPrefix(entry, "REGISTRY_") {
					t.Errorf("its environment holds %q", entry)
				}
			}
			if tt.parent { // then process 1 has nothing to hide but what it is
				for what, content := range got.Seen {
					if strings.Contains(what, "/1/") && strings.Contains(content, password) {
						t.Errorf("%s gives the server the password", what)
					}
					if strings.HasSuffix(what, "/1/fd") && strings.Contains(content, "memfd") {
						t.Errorf("process 1 keeps %s", content)
					}
				}
			}
			c.stopBridge()
		})
	}
}

// checkStdio checks what the spy has found.
func checkStdio(t *testing.T, got report, fromRoot, hasParent bool) {
	t.Helper()
	status := map[string]string{
		"Uid": "1000 1000 1000 1000", "CapInh": noCapabilities, "CapPrm": noCapabilities, "CapEff": noCapabilities,
		"CapAmb": noCapabilities, "NoNewPrivs": "1", "Umask": "0022", "SigBlk": noCapabilities, "PPid": "1",
	}
	if fromRoot {
		status["CapBnd"], status["Groups"] = noCapabilities, "1000"
	}
	if hasParent {
		delete(status, "PPid")
	}
	found := map[string]string{}
	for name := range status {
		found[name] = got.Status[name]
	}
	if diff := cmp.Diff(status, found); diff != "" {
		t.Errorf("the server's status differs (-want +got):\n%s", diff)
	}
	for what, content := range got.Seen {
		if content != "" && (!hasParent || strings.Contains(what, got.Status["PPid"])) {
			t.Errorf("%s gives the server %.200q", what, content)
		}
	}
	for fd, target := range got.Descriptors {
		if fd > 2 {
			t.Errorf("it inherited descriptor %d, open on %s", fd, target)
		}
	}
	if !got.Leads {
		t.Error("it does not lead its process group")
	}
}

func TestAStdioServerIsThereDuringASlowPull(t *testing.T) {
	t.Parallel()
	l := openLab(t)
	img := must(t, l.greeter)
	l.store.push(t, "stdio/slow:1", img)
	// A start period of 0 would mean the image's own.
	quick := []string{"--health-interval=250ms", "--health-start-period=1ms", "--health-retries=1"}
	for name, s := range map[string]start{
		"as root": {},
		"with a parent, in a user namespace": {
			env:  []string{"RUNNER_MODE=rootfs"},
			args: []string{"--user=1000:1000", "--security-opt=seccomp=unconfined", "--security-opt=apparmor=unconfined"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			layer, gate := isLayer(t, img), make(chan struct{})
			f := &front{hold: func(r *http.Request) bool {
				if layer(r) {
					select {
					case <-gate:
					case <-r.Context().Done():
					}
				}
				return false
			}}
			f.open(t, l.store)
			s.image, s.args = f.ref("stdio/slow:1"), append(s.args, quick...)
			c := l.run(t, asStdio(s))
			c.checkPulling()
			c.waitHealth("unhealthy")
			early := make(chan string, 1)
			go func() {
				early <- c.converse(c.streamable(), &mcp.CallToolParams{Name: "greet", Arguments: map[string]any{"name": "Ada"}}).Answer
			}()
			close(gate)
			if got := <-early; got != `{"text":"Hello, Ada!"}` {
				t.Errorf("a client that came during the pull got %q", got)
			}
			c.waitHealth("healthy")
			c.stopBridge()
		})
	}
}

// checkPulling waits for the pull and checks what is told of it.
func (c *container) checkPulling() {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), answerTimeout)
	defer cancel()
	err := poll(ctx, func(context.Context) error {
		status, _, body, err := c.respond(http.MethodGet, "/health", "")
		if err == nil && (status != http.StatusServiceUnavailable || !strings.Contains(body, `"phase":"pulling"`) || !strings.Contains(body, `"total_bytes":`)) {
			err = fmt.Errorf("the health is %d %s", status, body)
		}
		return err
	})
	if err != nil {
		c.t.Errorf("during the pull %v", err)
	}
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		if status, _, _, err := c.respond(method, "/", ""); err != nil || status != http.StatusOK {
			c.t.Errorf("during the pull %s / is %d, %v", method, status, err)
		}
	}
}

func TestSessionsOfAStdioServerSurviveARestart(t *testing.T) {
	t.Parallel()
	l := openLab(t)
	const list = `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`
	c := l.serve(t, "stdio/again:1", l.greeter, asStdio(start{
		env: []string{"RUNNER_SESSION_KEY=0123456789abcdef0123456789abcdef", "RUNNER_MAX_SESSIONS=2"}, args: []string{"--user=1000"},
	}))
	c.waitServing()
	id := c.begin()
	c.begin()
	if status, header, body, err := c.post(`{"jsonrpc":"2.0","id":0,"method":"initialize","params":{}}`); err != nil ||
		status != http.StatusServiceUnavailable || header.Get("Retry-After") == "" {
		t.Errorf("the third of two sessions: %d %v %s, %v; want 503", status, header, body, err)
	}
	c.stopBridge()
	l.must(t, "start", c.id)
	c.waitServing()
	tampered := []byte(id)
	tampered[len(id)/2] ^= 1
	if status, _, body, err := c.post(list, "Mcp-Session-Id", string(tampered)); err != nil || status != http.StatusNotFound {
		t.Errorf("a tampered session: %d %s, %v; want 404", status, body, err)
	}
	if status, _, body, err := c.post(list, "Mcp-Session-Id", id); err != nil || status != http.StatusOK || !strings.Contains(body, "runtime_facts") {
		t.Errorf("the old session: %d %s, %v; want its tools", status, body, err)
	}
	wantLog(t, c, "nothing to pull", "its server begins anew and remembers nothing")
}

func TestOrphansOfAStdioServerAreReapedWithoutProc(t *testing.T) {
	t.Parallel()
	l := openLab(t)
	// Before it begins, the server leaves a process behind, with a session of its
	// own, which ends when it is told to.
	leave := `RUNNER_ENTRYPOINT=["/bin/sh","-c","x=$(/bin/busybox setsid /bin/sh -c 'until [ -e /tmp/enough ]; do /bin/busybox sleep 0.1; done </dev/null >/dev/null 2>/dev/null &'); exec /usr/local/bin/greeter"]`
	c := l.serve(t, "stdio/orphans:1", l.whole.alpine, asStdio(start{env: []string{"RUNNER_MODE=rootfs", leave}}))
	c.waitServing()
	for range 3 {
		c.converse(c.streamable(), &mcp.CallToolParams{Name: "greet", Arguments: map[string]any{"name": "Ada"}})
	}
	wantLog(t, c, "way=chroot")
	// One for each session, and for the question what the server is.
	if got := c.children(); len(got) < 4 {
		t.Error("the servers have left nothing behind")
	}
	c.sh("touch /.fastmcp-runner/rootfs/tmp/enough")
	ctx, cancel := context.WithTimeout(t.Context(), answerTimeout)
	defer cancel()
	err := poll(ctx, func(context.Context) error {
		if got := c.children(); len(got) > 0 {
			return fmt.Errorf("process 1 has the children %v, dead or alive", got)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	c.stopBridge()
}

// children returns the children of the container's process 1, by the numbers
// that they have outside. Those that nobody has reaped count.
func (c *container) children() []string {
	c.t.Helper()
	lists, err := filepath.Glob("/proc/" + c.inspect("{{.State.Pid}}") + "/task/*/children")
	if err != nil || len(lists) == 0 {
		c.t.Fatalf("process 1 has no threads, %v", err)
	}
	var pids []string
	for _, name := range lists {
		list, _ := os.ReadFile(name) // the thread may have ended
		pids = append(pids, strings.Fields(string(list))...)
	}
	return pids
}
