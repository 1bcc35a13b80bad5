package e2e_test

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// gvisorRuntime is what the engine calls gVisor: a kernel in a process, which
// is all that containers see on some platforms. It has no openat2(2), no file
// capabilities and no mounts for the unprivileged, among others.
const gvisorRuntime = "gvisor"

// onGVisor has the engine start a container on it.
const onGVisor = "--runtime=" + gvisorRuntime

// engineConfig returns the configuration of dockerd, which makes gVisor known
// to it where this machine has one. By ptrace it runs everywhere, if slowly;
// the network is the machine's, as that of the other containers.
func engineConfig() string {
	runsc, err := exec.LookPath("runsc")
	if err != nil {
		return "{}"
	}
	return fmt.Sprintf(`{"runtimes": {%q: {"path": %q, "runtimeArgs": ["--platform=ptrace", "--network=host", "--ignore-cgroups"]}}}`, gvisorRuntime, runsc)
}

// needGVisor ends a test where there is none.
func (l *lab) needGVisor(t *testing.T) {
	t.Helper()
	if !strings.Contains(l.must(t, "info", "--format", "{{json .Runtimes}}"), `"`+gvisorRuntime+`"`) {
		t.Skipf("the engine has no runtime %q", gvisorRuntime)
	}
}

func TestFastMCPAnswersOnGVisor(t *testing.T) {
	t.Parallel()
	l := openLab(t)
	add := &mcp.CallToolParams{Name: "add", Arguments: map[string]any{"a": 40, "b": 2}}
	for user, args := range asUser() {
		t.Run(user, func(t *testing.T) {
			t.Parallel()
			c := l.serve(t, "servers/site-packages:1", l.sitePackages, start{args: append([]string{onGVisor}, args...)})
			c.waitReady()
			if got := c.converse(c.streamable(), add); got.Answer != "42" {
				t.Errorf("the answer is %q, want 42", got.Answer)
			}
			status := c.status() // which has no more than this about privileges
			for name, want := range map[string]string{
				"Pid": "1", "Uid": "1000 1000 1000 1000", "Gid": "1000 1000 1000 1000", "Groups": "1000",
				"CapInh": noCapabilities, "CapPrm": noCapabilities, "CapEff": noCapabilities,
			} {
				if status[name] != want {
					t.Errorf("%s is %q, want %q", name, status[name], want)
				}
			}
			l.must(t, "stop", c.id)
			if got := c.wait(); got != 0 && got != 143 {
				t.Errorf("exit status %d, want that of a server that was asked to end", got)
			}
		})
	}
}

// told returns whom the server says that it runs as: the machine does not see
// the processes inside of gVisor.
func (c *container) told() string {
	c.t.Helper()
	said := c.converse(c.streamable(), &mcp.CallToolParams{Name: "runtime_facts", Arguments: map[string]any{}})
	var facts struct{ UID, GID int }
	if err := json.Unmarshal([]byte(said.Answer), &facts); err != nil {
		c.t.Fatalf("the server tells of itself %q: %v", said.Answer, err)
	}
	return fmt.Sprintf("%d:%d", facts.UID, facts.GID)
}
