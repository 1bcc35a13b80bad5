package stdio_test

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/drengskapur/fastmcp-runner/test/e2e/facts"
	"github.com/drengskapur/fastmcp-runner/test/program"
)

// report is what the spy tells.
type report struct {
	facts.Facts

	Leads bool
	Seen  map[string]string
}

func (r *runner) look() report {
	r.t.Helper()
	var got report
	if err := r.call(r.t.Context(), r.streamable(), "look", nil, &got); err != nil {
		r.t.Fatal(err)
	}
	return got
}

func TestTheServerIsWhatThePlanSays(t *testing.T) {
	t.Parallel()
	dir := root(t)
	r := run(t, sell(t, spy, v1.Config{Env: []string{"FROM_IMAGE=yes"}, WorkingDir: "/app/work", Cmd: []string{"it's", "me"}}).open(),
		"RUNNER_ROOT="+dir, "MCP_ENV_API_KEY=hush", "SPACE_ID=acme/space", "RUNNER_AUTH_TOKEN=", "MCP_PATH=/mcp")
	r.awaitReady()
	got := r.look()
	want := []string{
		"API_KEY=hush", "FROM_IMAGE=yes", "HOME=/", "HOST=127.0.0.1", "MCP_PATH=/mcp", "MCP_TRANSPORT=stdio",
		"PATH=/usr/bin:/bin", "PORT=" + r.Port, "SPACE_ID=acme/space",
	}
	slices.Sort(got.Environ)
	if diff := cmp.Diff(want, got.Environ); diff != "" {
		t.Errorf("the environment (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{dir + "/app/server", "it's", "me"}, got.Args); diff != "" {
		t.Errorf("the arguments (-want +got):\n%s", diff)
	}
	if got.Directory != dir+"/app/work" || !got.Leads {
		t.Errorf("the directory is %q, and it leads its group: %t", got.Directory, got.Leads)
	}
	for fd, target := range got.Descriptors {
		if fd > 2 {
			t.Errorf("it inherited descriptor %d, open on %s", fd, target)
		}
	}
	const none = "0000000000000000"
	status := map[string]string{
		"CapInh": none, "CapPrm": none, "CapEff": none, "CapAmb": none, "NoNewPrivs": "1", "Umask": "0022", "SigBlk": none,
	}
	if os.Geteuid() == 0 {
		status["Uid"], status["Gid"], status["Groups"], status["CapBnd"] = "1000 1000 1000 1000", "1000 1000 1000 1000", "1000", none
	}
	for name, want := range status {
		if got.Status[name] != want {
			t.Errorf("its %s is %q, want %q", name, got.Status[name], want)
		}
	}
}

// careless starts the runner as a shell does that was itself started by
// nohup(1) and has a file open.
var careless = program.Program{Build: func() (string, error) { return "/bin/sh", nil }}

func TestTheServerInheritsNothingOfWhoStartedTheRunner(t *testing.T) {
	t.Parallel()
	shop := sell(t, spy, v1.Config{}).open()
	for _, tt := range []struct {
		name    string
		args    []string
		environ []string
	}{
		{"a local command", []string{"bridge", "--", spy.Path(t), "blind"}, nil},
		{"an image", nil, []string{"IMAGE=" + shop.image(), "MCP_TRANSPORT=stdio", "RUNNER_ROOT=" + root(t)}},
	} {
		t.Run("trap 59: "+tt.name, func(t *testing.T) {
			t.Parallel()
			const script = `exec 9</dev/null && trap "" HUP INT && exec env --block-signal=USR1 "$@"`
			args := append([]string{"-c", script, "sh", runnerProgram.Path(t)}, tt.args...)
			r := &runner{t: t, Process: careless.Start(t, program.FreePort(t), args, tt.environ...)}
			r.awaitReady()
			got := r.look()
			for fd, target := range got.Descriptors {
				if fd > 2 {
					t.Errorf("the server inherited descriptor %d, open on %s", fd, target)
				}
			}
			if ignored := got.Status["SigIgn"]; ignored != "0000000000000000" {
				t.Errorf("the server ignores the signals %s", ignored)
			}
			if blocked := got.Status["SigBlk"]; blocked != "0000000000000000" {
				t.Errorf("the server holds back the signals %s", blocked)
			}
			if held, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/9", r.PID())); len(tt.args) > 0 && held != "/dev/null" {
				t.Errorf("the runner itself had nothing to pass on: %q, %v", held, err)
			}
		})
	}
}

func TestTheServerSeesNothingOfTheBridge(t *testing.T) {
	t.Parallel()
	r := run(t, sell(t, spy, v1.Config{}).open(), "RUNNER_SESSION_KEY=0123456789abcdef")
	r.awaitReady()
	r.begin() // another session
	got := r.look()
	for what, content := range got.Seen {
		if content != "" && !strings.Contains(what, "/proc/1/") && what != "ptrace 1" {
			t.Errorf("%s gives the server %.200q", what, content)
		}
	}
	// What root finds, who may look: the bridge itself holds no credential of
	// the registry.
	for _, name := range []string{"environ", "cmdline"} {
		content, err := os.ReadFile("/proc/" + got.Status["PPid"] + "/" + name)
		if err != nil && os.Geteuid() == 0 {
			t.Error(err)
		}
		if strings.Contains(string(content), "correct-horse") || strings.Contains(string(content), "REGISTRY") {
			t.Errorf("the bridge's %s is %q", name, content)
		}
	}
	if os.Geteuid() == 0 {
		wantNotInMemory(t, got.Status["PPid"], "correct-horse")
	}
}

// wantNotInMemory checks what can be written of a process's memory, where
// everything is that it was given and has read.
func wantNotInMemory(t *testing.T, pid, secret string) {
	t.Helper()
	memory := writable(t, pid)
	if bytes.Contains(memory, []byte(secret)) {
		t.Errorf("the memory of the bridge holds %q", secret)
	}
	if !bytes.Contains(memory, []byte("0123456789abcdef")) {
		t.Error("this test does not find what memory holds")
	}
}

// writable returns the memory of a process that it can write.
func writable(t *testing.T, pid string) []byte {
	t.Helper()
	maps, err := os.ReadFile("/proc/" + pid + "/maps")
	if err != nil {
		t.Fatal(err)
	}
	mem, err := os.Open("/proc/" + pid + "/mem")
	if err != nil {
		t.Fatal(err)
	}
	defer mem.Close()
	var memory []byte
	for line := range strings.Lines(string(maps)) {
		var from, to uint64
		var rights string
		if _, err := fmt.Sscanf(line, "%x-%x %s", &from, &to, &rights); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if !strings.HasPrefix(rights, "rw") {
			continue
		}
		part := make([]byte, to-from)
		n, _ := mem.ReadAt(part, int64(from)) // some parts cannot be read
		memory = append(memory, part[:n]...)
	}
	return memory
}
