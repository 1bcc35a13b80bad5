package e2e_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const noCapabilities = "0000000000000000"

// checkUnprivileged checks /proc/PID/status of a server. Its bounding set can
// only be emptied by a runner that started as root; where it is not,
// NoNewPrivs keeps anything from being granted from it.
func checkUnprivileged(t *testing.T, status map[string]string, fromRoot bool) {
	t.Helper()
	want := map[string]string{
		"Pid": "1", "Uid": "1000 1000 1000 1000", "Gid": "1000 1000 1000 1000", "Groups": "1000",
		"CapInh": noCapabilities, "CapPrm": noCapabilities, "CapEff": noCapabilities, "CapAmb": noCapabilities,
		"NoNewPrivs": "1", "Umask": "0022",
	}
	if fromRoot {
		want["CapBnd"] = noCapabilities
	}
	got := map[string]string{}
	for name := range want {
		got[name] = status[name]
	}
	// In a container of its own a process is known by several numbers.
	if ids := strings.Fields(status["NSpid"]); len(ids) > 0 {
		got["Pid"] = ids[len(ids)-1]
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the server's /proc/1/status differs (-want +got):\n%s", diff)
	}
}

func TestTheServerIsUnprivileged(t *testing.T) {
	t.Parallel()
	l := openLab(t)
	tests := []struct {
		name     string
		args     []string
		fromRoot bool
	}{
		{"as root with Docker's default profile", nil, true},
		{"as UID 1000", []string{"--user", "1000"}, false},
		{"as root with what deploy/compose leaves to root", append(composePrivileges(t), "--volume=/data"), true},
		{"as root with more capabilities", []string{"--cap-add=SYS_ADMIN", "--cap-add=SYS_PTRACE", "--cap-add=NET_ADMIN"}, true},
		{"as root with a group more", []string{"--group-add", "44"}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := l.serve(t, "privileges/probe:1", l.probe, start{args: tt.args})
			c.waitReady()
			checkUnprivileged(t, c.facts().Status, tt.fromRoot)
		})
	}
}

// composePrivileges are the privileges in deploy/compose/compose.yaml.
func composePrivileges(t *testing.T) []string {
	t.Helper()
	args := []string{"--cap-drop=ALL", "--security-opt=no-new-privileges:true"}
	list := find(t, "deploy/compose/compose.yaml", `cap_add: \[(.+)\]`)
	for capability := range strings.SplitSeq(list, ", ") {
		args = append(args, "--cap-add="+capability)
	}
	return args
}

// find returns what the group of a pattern matches in a file of the source
// tree.
func find(t *testing.T, name, pattern string) string {
	t.Helper()
	body, err := os.ReadFile(filepath.Join(module, name))
	if err != nil {
		t.Fatal(err)
	}
	match := regexp.MustCompile(pattern).FindSubmatch(body)
	if match == nil {
		t.Fatalf("%s has nothing like %s", name, pattern)
	}
	return string(match[1])
}

func TestTheServerGetsWhatIsMeantForIt(t *testing.T) {
	t.Parallel()
	l := openLab(t)
	c := l.serve(t, "meant/probe:1", l.probe, start{env: []string{
		"SPACE_ID=me/space", "BOTH=container", "MCP_ENV_API_KEY=k", "MCP_PATH=/there", "MCP_ENV_PORT=1",
		"LOG_LEVEL=debug", "LOG_FORMAT=json", "HEALTHCHECK_PATH=/health", "RUNNER_MAX_BYTES=1GiB",
	}})
	c.waitReady()
	f := c.facts()

	want := []string{
		"API_KEY=k", "BOTH=image", "FROM_IMAGE=image", "HOME=/home/user", "HOST=127.0.0.1",
		"HOSTNAME=" + variable(f.Environ, "HOSTNAME"), // the engine's choice
		"MCP_PATH=/there", "MCP_TRANSPORT=streamable-http",
		"PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin",
		"PORT=" + strconv.Itoa(c.port),
		"PYTHONDONTWRITEBYTECODE=1", "PYTHONFAULTHANDLER=1", "PYTHONUNBUFFERED=1", "SPACE_ID=me/space",
	}
	slices.Sort(f.Environ)
	if diff := cmp.Diff(want, f.Environ); diff != "" {
		t.Errorf("the server's environment differs (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"/app/probe"}, f.Args); diff != "" {
		t.Errorf("the server's arguments differ (-want +got):\n%s", diff)
	}
	if f.Directory != "/srv/work" {
		t.Errorf("the server started in %q, want the image's /srv/work", f.Directory)
	}
	if blocked := f.Status["SigBlk"]; blocked != "0000000000000000" {
		t.Errorf("the server inherited blocked signals: %s", blocked)
	}
	for fd, target := range f.Descriptors {
		if fd > 2 {
			t.Errorf("the server inherited descriptor %d, open on %s", fd, target)
		}
	}
}

// variable returns the value of a variable.
func variable(environ []string, name string) string {
	for _, entry := range environ {
		if value, ok := strings.CutPrefix(entry, name+"="); ok {
			return value
		}
	}
	return ""
}

func TestNoCredentialReachesTheServer(t *testing.T) {
	t.Parallel()
	const password = "correct-horse-battery-staple"
	l := openLab(t)
	l.store.push(t, "private/probe:1", must(t, l.probe))
	f := &front{user: "reader", password: password}
	f.open(t, l.store)
	c := l.run(t, start{image: f.ref("private/probe:1"), env: []string{
		"REGISTRY_USER=reader", "REGISTRY_PASSWORD=" + password, "LOG_LEVEL=debug",
	}})
	c.waitReady()

	for _, entry := range c.facts().Environ {
		if strings.HasPrefix(entry, "REGISTRY_") || strings.HasPrefix(entry, "RUNNER_") || strings.Contains(entry, password) {
			t.Errorf("the server's environment holds %q", entry)
		}
	}
	if strings.Contains(c.logs(), password) {
		t.Error("the log shows the password")
	}
	// What the server could find: its own memory of the start, and all files.
	if own := c.exec("cat", "/proc/1/environ", "/proc/1/cmdline"); strings.Contains(own, password) {
		t.Error("/proc/1 shows the password")
	}
	if c.holds(password) {
		t.Error("a file of the container holds the password")
	}
	if !c.holds(imagesNotes) {
		t.Error("this test does not find what files hold")
	}
}

// holds reports whether any file of the container has text in it.
func (c *container) holds(text string) bool {
	c.t.Helper()
	cmd := c.lab.engine.command(c.t.Context(), "export", c.id)
	archive, err := cmd.StdoutPipe()
	if err != nil {
		c.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	found := contains(c.t, archive, text)
	if _, err := io.Copy(io.Discard, archive); err != nil {
		c.t.Error(err)
	}
	if err := cmd.Wait(); err != nil {
		c.t.Errorf("docker export: %v", err)
	}
	return found
}

// contains reports whether a stream has text in it.
func contains(t *testing.T, stream io.Reader, text string) bool {
	t.Helper()
	window := make([]byte, 0, 1<<20)
	for {
		n, err := stream.Read(window[len(window):cap(window)])
		window = window[:len(window)+n]
		if bytes.Contains(window, []byte(text)) {
			return true
		}
		if err != nil {
			if err != io.EOF {
				t.Error(err)
			}
			return false
		}
		keep := window[max(0, len(window)-len(text)):]
		window = window[:copy(window[:cap(window)], keep)]
	}
}
