package e2e_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

var update = flag.Bool("update", false, "write the table of docs/rootfs.md anew")

// host is a way in which a platform starts the runner.
type host struct {
	name   string
	runner string // the tag of the runner's image
	args   []string
	env    []string
	// refusal is what the log says where no image can run; empty where they
	// can.
	refusal string
	// fails are the images that this host cannot run, by their path, with what
	// the table says and what the log says.
	fails map[string]failure
	// large says that large images are tried as well.
	large bool
}

// failure is an image that one host cannot run, and why.
type failure struct{ cell, log string }

// hosts are those of the table.
func hosts() []host {
	const refused = "cannot run a whole image on this host"
	// Where an engine uses AppArmor, its profile refuses every mount(2).
	const mayMount = "--security-opt=apparmor=unconfined"
	noRoot := map[string]failure{"whole/gosu:1": {"refused (1)", "cannot make /entrypoint.sh"}, "whole/oddities:1": {"refused (1)", "cannot write in /odd"}}
	noProc := map[string]failure{"whole/gosu:1": {"fails (2)", "stat /proc/self/exe: no such file or directory"}}
	bare := []string{"--user=1000", "--cap-drop=ALL", "--security-opt=no-new-privileges"}
	readOnly := []string{"--read-only", "--tmpfs=/tmp:exec,mode=1777"}
	return []host{
		{name: "UID 1000", runner: rootfsTag, args: []string{"--user=1000"}, large: true},
		{name: "UID 1000, no capabilities", runner: rootfsTag, args: bare, large: true, fails: noRoot},
		{name: "UID 1000, no seccomp", runner: rootfsTag, args: []string{"--user=1000", "--security-opt=seccomp=unconfined"}},
		{name: "UID 1000, built `FROM` it", runner: childTag, args: []string{"--user=1000"}},
		{name: "root", runner: rootfsTag, large: true},
		{name: "root, read-only, on a tmpfs", runner: rootfsTag, args: readOnly, env: []string{"RUNNER_ROOT=/tmp"}, fails: noProc},
		{name: "UID 1000, read-only, on a tmpfs", runner: rootfsTag, args: append(readOnly, "--user=1000"), env: []string{"RUNNER_ROOT=/tmp"}, refusal: refused},
		{name: "usual flavour, root", runner: runnerTag, large: true, fails: noProc},
		{name: "usual flavour, root, `SYS_ADMIN`", runner: runnerTag, args: []string{"--cap-add=SYS_ADMIN", mayMount}},
		{name: "usual flavour, UID 1000", runner: runnerTag, args: []string{"--user=1000"}, refusal: refused},
		{name: "usual flavour, UID 1000, no seccomp", runner: runnerTag, args: []string{"--user=1000", "--security-opt=seccomp=unconfined", mayMount}},
		{name: "gVisor, UID 1000", runner: rootfsTag, args: []string{onGVisor, "--user=1000"}, fails: noRoot},
		{name: "gVisor, root", runner: rootfsTag, args: []string{onGVisor}},
		{name: "gVisor, usual flavour, root", runner: runnerTag, args: []string{onGVisor}, fails: noProc},
		{name: "gVisor, usual flavour, UID 1000", runner: runnerTag, args: []string{onGVisor, "--user=1000"}, refusal: refused},
	}
}

// wholeServer is an image that brings its own system, and a call of its server
// with the answer that is due.
type wholeServer struct {
	name, path string
	build      func() (v1.Image, error)
	env        []string
	call       *mcp.CallToolParams
	answer     string
	large      bool // takes long to lay down
	once       bool // tried on the first host alone, because the same is shown by another
}

func wholeServers(l *lab) []wholeServer {
	greet := &mcp.CallToolParams{Name: "greet", Arguments: map[string]any{"name": "Ada"}}
	const hello = `{"text":"Hello, Ada!"}`
	return []wholeServer{
		{
			name: "Debian, Python in /usr/local, FastMCP", path: "whole/python:1", build: l.whole.python,
			call: &mcp.CallToolParams{Name: "add", Arguments: map[string]any{"a": 40, "b": 2}}, answer: "42", large: true,
		},
		{
			name: "Debian, Node, server-everything", path: "whole/node:1", build: l.whole.node,
			call: &mcp.CallToolParams{Name: "echo", Arguments: map[string]any{"message": "Ada"}}, answer: "Echo: Ada", once: true,
		},
		{name: "Alpine's layout, musl and busybox", path: "whole/alpine:1", build: l.whole.alpine, call: greet, answer: hello},
		{name: "distroless: a static server alone", path: "whole/distroless:1", build: l.greeter, call: greet, answer: hello},
		{name: "`WORKDIR /code`, a relative command", path: "whole/code:1", build: l.whole.code, call: greet, answer: hello},
		{name: "`chown -R`, then `exec gosu`", path: "whole/gosu:1", build: l.whole.gosu, call: greet, answer: hello},
		{name: "`USER app`", path: "whole/named:1", build: l.whole.named, call: greet, answer: hello},
		{name: "setuid, devices, hard links, attributes", path: "whole/oddities:1", build: l.whole.oddities, call: greet, answer: hello},
	}
}

func TestWholeImagesAnswerAnMCPClientOnEveryHost(t *testing.T) {
	t.Parallel()
	l := openLab(t)
	tab := newTable(l)
	t.Cleanup(func() { tab.check(t) })
	for i, h := range hosts() {
		for _, server := range wholeServers(l) {
			if server.once && i > 0 || server.large && !h.large && h.refusal == "" {
				continue
			}
			t.Run(h.name+": "+server.name, func(t *testing.T) {
				t.Parallel()
				tab.set(h.name, server.name, l.tryWhole(t, h, server))
			})
		}
	}
}

// tryWhole starts an image on a host and returns what the table says of it:
// the user of the server, or that there is none.
func (l *lab) tryWhole(t *testing.T, h host, server wholeServer) string {
	t.Helper()
	env := slices.Concat([]string{"RUNNER_MODE=rootfs"}, h.env, server.env)
	c := l.serve(t, server.path, server.build, start{runner: h.runner, args: h.args, env: env})
	if h.refusal != "" {
		if got := c.wait(); got != 125 {
			t.Errorf("exit status %d, want 125", got)
		}
		wantLog(t, c, h.refusal)
		return "refused (3)"
	}
	if f, ok := h.fails[server.path]; ok {
		if got := c.wait(); got == 0 {
			t.Error("exit status 0 of what cannot run")
		}
		wantLog(t, c, f.log)
		return f.cell
	}
	c.waitReady()
	got := c.converse(c.streamable(), server.call)
	if diff := cmp.Diff(server.answer, got.Answer); diff != "" {
		t.Errorf("the answer differs (-want +got):\n%s", diff)
	}
	return c.user()
}

// user returns whom the container's last process runs as.
func (c *container) user() string {
	c.t.Helper()
	if c.inspect("{{.HostConfig.Runtime}}") == gvisorRuntime {
		return c.told()
	}
	lines := strings.Split(c.lab.must(c.t, "top", c.id, "-o", "pid,uid,gid"), "\n")
	fields := strings.Fields(lines[len(lines)-1])
	return fields[1] + ":" + fields[2]
}

// table is what became of each image on each host.
type table struct {
	hosts, images []string

	mu    sync.Mutex
	cells map[[2]string]string // by host and image
}

func newTable(l *lab) *table {
	tab := &table{cells: map[[2]string]string{}}
	for _, h := range hosts() {
		tab.hosts = append(tab.hosts, h.name)
	}
	for _, server := range wholeServers(l) {
		tab.images = append(tab.images, server.name)
	}
	return tab
}

func (tab *table) set(hostName, image, cell string) {
	tab.mu.Lock()
	defer tab.mu.Unlock()
	tab.cells[[2]string{hostName, image}] = cell
}

// markdown returns the table, one line for each host.
func (tab *table) markdown() string {
	var b strings.Builder
	line := func(cells ...string) { fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | ")) }
	line(append([]string{"host"}, tab.images...)...)
	line(slices.Repeat([]string{"---"}, len(tab.images)+1)...)
	for _, hostName := range tab.hosts {
		cells := []string{hostName}
		for _, image := range tab.images {
			cells = append(cells, tab.cells[[2]string{hostName, image}])
		}
		line(cells...)
	}
	return b.String()
}

// The table stands between these lines of the page.
const (
	tableBegin = "<!-- table: written by go test ./test/e2e -run Whole -update -->\n"
	tableEnd   = "<!-- end of table -->\n"
)

// check holds the table against docs/rootfs.md, if all of it was made.
func (tab *table) check(t *testing.T) {
	t.Helper()
	t.Logf("what ran, and as whom:\n%s", tab.markdown())
	if t.Failed() || len(tab.cells) == 0 {
		return
	}
	page := filepath.Join(module, "docs", "rootfs.md")
	body, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(body), tableBegin)
	written, after, closed := strings.Cut(rest, tableEnd)
	if !found || !closed {
		t.Fatalf("%s has no place for the table", page)
	}
	if *update {
		if err := os.WriteFile(page, []byte(before+tableBegin+tab.markdown()+tableEnd+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(tab.known(written), tab.cells); diff != "" {
		t.Errorf("%s says otherwise (-page +test):\n%s", page, diff)
	}
}

// known reads from the page the cells that this run made as well: a run may be
// of some tests alone.
func (tab *table) known(page string) map[[2]string]string {
	cells := map[[2]string]string{}
	for line := range strings.Lines(page) {
		fields := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i, field := range fields[1:] {
			if i < len(tab.images) {
				cells[[2]string{strings.TrimSpace(fields[0]), tab.images[i]}] = strings.TrimSpace(field)
			}
		}
	}
	maps.DeleteFunc(cells, func(key [2]string, _ string) bool { _, made := tab.cells[key]; return !made })
	return cells
}
