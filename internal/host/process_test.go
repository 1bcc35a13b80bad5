package host_test

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/drengskapur/fastmcp-runner/internal/host"
)

// The test binary is also the programs that the tests run: one that does
// nothing, one that fails, and one that probes and prints the facts.
const (
	doNothing = "--do-nothing"
	doFail    = "--fail"
	doProbe   = "--probe"
)

// self is this binary, by a path that every user may follow.
const self = "/proc/self/exe"

// syscall.Exit, because an ordinary end costs a second under the race detector.
func TestMain(m *testing.M) {
	switch {
	case len(os.Args) < 2:
		m.Run()
	case os.Args[1] == doNothing:
		syscall.Exit(0)
	case os.Args[1] == doFail:
		syscall.Exit(7)
	case os.Args[1] == doProbe:
		syscall.Exit(printFacts(os.Args[2:]))
	default:
		m.Run()
	}
}

func printFacts(directories []string) int {
	facts := host.Probe(context.Background(), host.Options{Command: []string{self, doNothing}, Directories: directories})
	if err := json.NewEncoder(os.Stdout).Encode(facts); err != nil {
		return 1
	}
	return 0
}

// probeIn returns the facts that a child finds which was started so.
func probeIn(t *testing.T, attributes *syscall.SysProcAttr, directories ...string) host.Facts {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), self, append([]string{doProbe}, directories...)...)
	cmd.SysProcAttr = attributes
	cmd.Stderr = os.Stderr
	text, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var facts host.Facts
	if err := json.Unmarshal(text, &facts); err != nil {
		t.Fatal(err)
	}
	return facts
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can become another user")
	}
}

func TestProbeOfThisHost(t *testing.T) {
	t.Parallel()
	facts := probeIn(t, nil)
	if len(facts.Problems) > 0 {
		t.Errorf("Problems = %q, want none", facts.Problems)
	}
	if facts.Kernel.Release == "" || facts.Machine.CPUs == 0 || facts.Machine.MemoryBytes < 1<<20 {
		t.Errorf("Kernel = %+v, Machine = %+v, want all of it known", facts.Kernel, facts.Machine)
	}
	if int(facts.User.UID) != os.Geteuid() || int(facts.User.GID) != os.Getegid() {
		t.Errorf("User = %+v, want %d:%d", facts.User, os.Geteuid(), os.Getegid())
	}
	if !facts.Proc || len(facts.Mounts) == 0 || facts.Capabilities == nil {
		t.Errorf("Proc = %t, %d Mounts, Capabilities = %v, want all of it known", facts.Proc, len(facts.Mounts), facts.Capabilities)
	}
	for name, answer := range map[string]host.Answer{
		"UserNamespaces": facts.UserNamespaces, "Mounting": facts.Mounting, "Chroot": facts.Chroot,
	} {
		if answer.Verdict == host.Unknown || (answer.Verdict == host.No) != (answer.Cause != "") {
			t.Errorf("%s = %+v, want a yes, or a no with its cause", name, answer)
		}
	}
}

func TestProbeAsAnOrdinaryUser(t *testing.T) {
	t.Parallel()
	needRoot(t)
	theirs := t.TempDir()
	facts := probeIn(t, &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 1000, Gid: 1001, Groups: []uint32{5, 1001}}}, theirs, "/proc/self/fd")
	if facts.User.UID != 1000 || facts.User.GID != 1001 || len(facts.User.Groups) != 2 {
		t.Errorf("User = %+v, want 1000:1001 with the groups 5 and 1001", facts.User)
	}
	if facts.Capabilities.Permitted != 0 || facts.Capabilities.Effective != 0 {
		t.Errorf("Capabilities = %+v, want none that are permitted or effective", facts.Capabilities)
	}
	refused := host.Answer{Verdict: host.No, Cause: "EPERM"}
	if facts.Mounting != refused || facts.Chroot != refused {
		t.Errorf("Mounting = %v, Chroot = %v, want %v", facts.Mounting, facts.Chroot, refused)
	}
	if got, want := facts.Directories[0].Writable, (host.Answer{Verdict: host.No, Cause: "EACCES"}); got != want {
		t.Errorf("root's directory is writable: %v, want %v", got, want)
	}
}

func TestProbeCountsEffectiveCapabilitiesOnly(t *testing.T) {
	t.Parallel()
	needRoot(t)
	facts := probeIn(t, &syscall.SysProcAttr{
		Credential:  &syscall.Credential{Uid: 1000, Gid: 1000},
		AmbientCaps: []uintptr{unix.CAP_SYS_CHROOT, unix.CAP_DAC_OVERRIDE},
	}, t.TempDir())
	const want = 1<<unix.CAP_SYS_CHROOT | 1<<unix.CAP_DAC_OVERRIDE
	if sets := facts.Capabilities; sets.Effective != want || sets.Ambient != want || sets.Inheritable != want {
		t.Errorf("Capabilities = %+v, want CAP_SYS_CHROOT and CAP_DAC_OVERRIDE", sets)
	}
	yes := host.Answer{Verdict: host.Yes}
	if facts.Chroot != yes {
		t.Errorf("Chroot = %v, want %v: CAP_SYS_CHROOT is there", facts.Chroot, yes)
	}
	if facts.Directories[0].Writable != yes {
		t.Errorf("root's directory is writable: %v, want %v: CAP_DAC_OVERRIDE is there", facts.Directories[0].Writable, yes)
	}
}

func TestProbeLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	before := readLink(t, "/proc/self/ns/mnt") + readLink(t, "/proc/self/ns/user") + readLink(t, "/proc/self/root")
	host.Probe(t.Context(), host.Options{Command: []string{self, doNothing}})
	after := readLink(t, "/proc/self/ns/mnt") + readLink(t, "/proc/self/ns/user") + readLink(t, "/proc/self/root")
	if before != after {
		t.Errorf("the namespaces were %s and are %s", before, after)
	}
}

func readLink(t *testing.T, name string) string {
	t.Helper()
	target, err := os.Readlink(name)
	if err != nil {
		t.Fatal(err)
	}
	return target
}

func TestProbeDistrustsACommandThatDoesNotRun(t *testing.T) {
	t.Parallel()
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, tt := range []struct {
		name    string
		ctx     context.Context //nolint:containedctx // of one case
		command []string
		want    string
	}{
		{"it is missing", t.Context(), []string{"/missing"}, `cannot run "/missing": ENOENT`},
		{"it fails", t.Context(), []string{self, doFail}, `cannot run "/proc/self/exe": exit status 7`},
		{"there is no time", canceled, []string{self, doNothing}, `cannot run "/proc/self/exe": context canceled`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			facts := host.Probe(tt.ctx, host.Options{Command: tt.command})
			want := host.Answer{Cause: tt.want}
			if facts.UserNamespaces != want || facts.Mounting != want || facts.Chroot != want {
				t.Errorf("UserNamespaces = %v, Mounting = %v, Chroot = %v, want %v", facts.UserNamespaces, facts.Mounting, facts.Chroot, want)
			}
		})
	}
}

func TestProbeAsksDirectories(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	names := []string{dir, dir + "/", file, filepath.Join(dir, "missing"), "/dev", "/proc"}
	got := host.Probe(t.Context(), host.Options{Directories: names}).Directories
	if len(got) != len(names) {
		t.Fatalf("%d Directories, want %d", len(got), len(names))
	}
	for i, want := range []string{"yes", "yes", "no (ENOTDIR)", "no (ENOENT)"} {
		if got[i].Path != names[i] || got[i].Writable.String() != want {
			t.Errorf("%s is writable: %v, want %s of %s", got[i].Path, got[i].Writable, want, names[i])
		}
	}
	if fileSystem := got[0].FileSystem; fileSystem == nil || fileSystem.ReadOnly || fileSystem.FreeBytes > fileSystem.SizeBytes {
		t.Errorf("the file system of %s is %+v, want a writable one that is larger than its free part", dir, fileSystem)
	}
	if got[3].FileSystem != nil {
		t.Errorf("the file system of a missing directory is %+v, want nil: unknown", got[3].FileSystem)
	}
	if fileSystem := got[5].FileSystem; fileSystem == nil || fileSystem.SizeBytes != 0 {
		t.Errorf("the file system of /proc is %+v, want one without a size", fileSystem)
	}
}

func TestProbeKnowsMemoryFromDisk(t *testing.T) {
	t.Parallel()
	facts := host.Probe(t.Context(), host.Options{Directories: []string{"/proc"}})
	if proc := facts.Directories[0].FileSystem; proc == nil || proc.InMemory {
		t.Errorf("the file system of /proc is %+v, want one that is not in memory", proc)
	}
	if !slices.ContainsFunc(facts.Mounts, func(m host.Mount) bool { return m.Point == "/dev/shm" && m.Type == "tmpfs" }) {
		t.Skip("this host has no tmpfs at /dev/shm")
	}
	if facts.Shm.FileSystem == nil || !facts.Shm.FileSystem.InMemory {
		t.Errorf("the file system of /dev/shm is %+v, want one in memory", facts.Shm.FileSystem)
	}
}
