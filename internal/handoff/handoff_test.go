package handoff_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/drengskapur/fastmcp-runner/internal/handoff"
	"github.com/drengskapur/fastmcp-runner/internal/ids"
	"github.com/drengskapur/fastmcp-runner/internal/launch"
)

const noCaps = "0000000000000000"

// dropped is the status of a server whose runner was root.
func dropped() map[string]string {
	return map[string]string{
		"Uid": "1000 1000 1000 1000", "Gid": "1000 1000 1000 1000", "Groups": "1000",
		"CapInh": noCaps, "CapPrm": noCaps, "CapEff": noCaps, "CapBnd": noCaps, "CapAmb": noCaps,
		"NoNewPrivs": "1", "SigBlk": noCaps, "SigIgn": noCaps, "Umask": "0022",
	}
}

func TestExecAsRootGivesEverythingUp(t *testing.T) {
	t.Parallel()
	needRoot(t)
	for _, tt := range []struct {
		name   string
		change func(*scenario)
		want   func(status map[string]string)
	}{
		{name: "trap 55: of root nothing is left"},
		{
			name:   "trap 55: capabilities that outlive setuid and those handed down are gone",
			change: func(s *scenario) { s.KeepCaps, s.Ambient = true, []uintptr{unix.CAP_NET_BIND_SERVICE, unix.CAP_CHOWN} },
		},
		{
			name:   "a container without CAP_SETPCAP keeps its bounding set, which no_new_privs makes void",
			change: func(s *scenario) { s.Without = []uint{unix.CAP_SETPCAP} },
			want:   func(status map[string]string) { delete(status, "CapBnd") },
		},
		{
			name: "another user and group",
			change: func(s *scenario) {
				s.Plan.User = ids.User{UID: 12345, GID: 0}
			},
			want: func(status map[string]string) {
				status["Uid"], status["Gid"], status["Groups"] = "12345 12345 12345 12345", "0 0 0 0", "0"
			},
		},
		{
			name:   "root, where the plan says so, keeps its capabilities and can gain no other",
			change: func(s *scenario) { s.Plan.User = ids.User{} },
			want: func(status map[string]string) {
				maps.DeleteFunc(status, func(field, _ string) bool { return strings.HasPrefix(field, "Cap") })
				status["Uid"], status["Gid"], status["Groups"] = "0 0 0 0", "0 0 0 0", ""
			},
		},
		{
			name:   "a fake root leaves the user as it is",
			change: func(s *scenario) { s.Options.FakeRoot = true },
		},
		{
			name:   "trap 59: the signal mask is empty and nothing is ignored",
			change: func(s *scenario) { s.Block, s.Listen = true, true },
		},
		{
			name:   "trap 59: the umask is the one asked for",
			change: func(s *scenario) { s.Umask, s.Options.Umask = 0, 0o027 },
			want:   func(status map[string]string) { status["Umask"] = "0027" },
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newScenario(t)
			if tt.change != nil {
				tt.change(&s)
			}
			want := dropped()
			if tt.want != nil {
				tt.want(want)
			}
			got := start(t, s)
			maps.DeleteFunc(got.Status, func(field, _ string) bool { _, ok := want[field]; return !ok })
			if diff := cmp.Diff(want, got.Status); diff != "" {
				t.Errorf("status: -want +got\n%s", diff)
			}
		})
	}
}

func TestExecGivesThePlanAndNothingElse(t *testing.T) {
	t.Parallel()
	leak := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(leak, []byte("secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, closeBy string }{
		{"trap 59: no descriptor above 2 is left", ""},
		{"trap 59: nor where only /proc tells what is open", "list"},
		{"trap 59: nor where not even that does", "limit"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newScenario(t)
			s.Leak, s.CloseBy = []string{leak, "/", leak}, tt.closeBy
			s.Plan.Argv = []string{"a name of its own", reportServer, "", "it's\n"}
			s.Plan.Env = []string{"A.B=c", "PATH=/nowhere"}
			got := start(t, s)
			if diff := cmp.Diff(s.Plan.Argv, got.Args); diff != "" {
				t.Errorf("argv: -want +got\n%s", diff)
			}
			if diff := cmp.Diff(s.Plan.Env, got.Env); diff != "" {
				t.Errorf("environment: -want +got\n%s", diff)
			}
			if got.Dir != s.Plan.Dir {
				t.Errorf("directory %q, want %q", got.Dir, s.Plan.Dir)
			}
			if len(got.Descriptors) > 0 {
				t.Errorf("descriptors %q are left open", got.Descriptors)
			}
		})
	}
}

func TestExecHandsOnWhatIsToBeKept(t *testing.T) {
	t.Parallel()
	kept := filepath.Join(openDir(t), "kept")
	for _, name := range []string{kept, kept + "-not"} {
		if err := os.WriteFile(name, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s := newScenario(t)
	s.Leak, s.Keep = []string{kept + "-not"}, kept
	s.Options.Outside = true
	got := start(t, s)
	if diff := cmp.Diff([]string{kept}, got.Descriptors); diff != "" {
		t.Errorf("descriptors: -want +got\n%s", diff)
	}
}

func TestExecReachesAProgramThatTheUserDoesNot(t *testing.T) {
	t.Parallel()
	needRoot(t)
	s := newScenario(t)
	private := filepath.Join(openDir(t), "private")
	if err := os.Mkdir(private, 0o700); err != nil {
		t.Fatal(err)
	}
	s.Options.Path, s.Options.Outside = program(t, private), true
	if got := start(t, s); got.Status["Uid"] != dropped()["Uid"] {
		t.Errorf("the program runs as %s, want %s", got.Status["Uid"], dropped()["Uid"])
	}
}

func TestExecKeepsThePID(t *testing.T) {
	t.Parallel()
	cmd := command(t, newScenario(t))
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var got report
	if err := json.NewDecoder(stdout).Decode(&got); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if got.PID != cmd.Process.Pid {
		t.Errorf("the server has PID %d, its runner had %d", got.PID, cmd.Process.Pid)
	}
}

func TestExecAsAnOrdinaryUser(t *testing.T) {
	t.Parallel()
	s := newScenario(t)
	s.NotAsRoot = true
	got := start(t, s)
	want := dropped()
	// What an ordinary user cannot change stays as the container gave it.
	for _, name := range []string{"Groups", "CapBnd"} {
		delete(want, name)
		delete(got.Status, name)
	}
	if os.Geteuid() != 0 {
		delete(want, "Uid")
		delete(got.Status, "Uid")
		delete(want, "Gid")
		delete(got.Status, "Gid")
	}
	if diff := cmp.Diff(want, got.Status); diff != "" {
		t.Errorf("status: -want +got\n%s", diff)
	}
}

func TestExecGivesBackTheDescriptorLimit(t *testing.T) {
	t.Parallel()
	for _, outside := range []bool{false, true} {
		s := newScenario(t)
		s.Options.Path, s.Plan.Argv = "/bin/sh", []string{"sh", "-c", "ulimit -S -n"}
		s.Options.Outside = outside
		runner := command(t, s)
		// The Go runtime raises the soft limit to the hard one when it starts.
		limited := exec.Command("/bin/sh", append([]string{"-c", `ulimit -S -n 300 && exec "$@"`, "sh"}, runner.Args...)...)
		limited.Stdin = runner.Stdin
		out, err := limited.Output()
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.TrimSpace(string(out)); got != "300" {
			t.Errorf("trap 59: outside %t: the server's soft limit of descriptors is %s, want 300", outside, got)
		}
	}
}

func TestExecResetsWhatTheRunnerWasToIgnore(t *testing.T) {
	t.Parallel()
	for _, listen := range []bool{false, true} {
		s := newScenario(t)
		s.Listen = listen
		runner := command(t, s)
		// sh ignores for the runner what nohup(1) does, and what a background job
		// of a shell does. 64 is SIGRTMAX.
		nohup := exec.Command("/bin/sh", append([]string{"-c", `trap "" HUP INT QUIT PIPE TERM TSTP TTIN TTOU CONT CHLD USR1 64 && exec "$@"`, "sh"}, runner.Args...)...)
		nohup.Stdin = runner.Stdin
		out, err := nohup.Output()
		if err != nil {
			t.Fatal(err)
		}
		var got report
		if err := json.Unmarshal(out, &got); err != nil {
			t.Fatal(err)
		}
		if got.Status["SigIgn"] != noCaps {
			t.Errorf("trap 59: a runner that listens to signals (%t): SigIgn = %s, want none", listen, got.Status["SigIgn"])
		}
	}
}

func TestExecRefuses(t *testing.T) {
	t.Parallel()
	needRoot(t)
	const rootHint = "\nhint: the container must start as root with CAP_SETUID and CAP_SETGID, or as user "
	dir := openDir(t)
	private := filepath.Join(dir, "private")
	if err := os.Mkdir(private, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		change func(*scenario)
		want   string
	}{
		{
			name:   "trap 55: groups that cannot be changed",
			change: func(s *scenario) { s.Without = []uint{unix.CAP_SETGID} },
			want:   "cannot drop root: setgroups: operation not permitted" + rootHint + "1000:1000",
		},
		{
			name:   "trap 55: a user that cannot be changed",
			change: func(s *scenario) { s.Without = []uint{unix.CAP_SETUID} },
			want:   "cannot drop root: setresuid: operation not permitted" + rootHint + "1000:1000",
		},
		{
			name:   "trap 55: a group that setresgid takes for no change",
			change: func(s *scenario) { s.Plan.User.GID = 1<<32 - 1 },
			want:   "cannot drop root: setgroups: invalid argument" + rootHint + "1000:4294967295",
		},
		{
			name:   "trap 55: a user that setresuid takes for no change",
			change: func(s *scenario) { s.Plan.User.UID = 1<<32 - 1 },
			want:   "cannot drop root: the process can still become root",
		},
		{
			name:   "root, by an ordinary user",
			change: func(s *scenario) { s.NotAsRoot, s.Plan.User = true, ids.User{} },
			want: "cannot become root: this process is user 1000" +
				"\nhint: start the container as root, or leave RUNNER_USER unset",
		},
		{
			name: "an ordinary user that is not the plan's",
			change: func(s *scenario) {
				s.NotAsRoot, s.Plan.User = true, ids.User{UID: 1001, GID: 1001}
			},
			want: "cannot become user 1001:1001: this process is user 1000:1000 without CAP_SETUID" +
				"\nhint: set RUNNER_USER to 1000:1000, or start the container as root",
		},
		{
			name: "an ordinary user whose group is not the plan's",
			change: func(s *scenario) {
				s.NotAsRoot, s.Plan.User.GID = true, 0
			},
			want: "cannot become user 1000:0: this process is user 1000:1000 without CAP_SETUID" +
				"\nhint: set RUNNER_USER to 1000:1000, or start the container as root",
		},
		{
			name:   "a directory that root may enter, but not the user",
			change: func(s *scenario) { s.Plan.Dir = private },
			want: "cannot enter the working directory \"" + private + "\" as user 1000:1000: permission denied" +
				"\nhint: the image's WORKDIR must exist and be open to that user",
		},
		{
			name:   "a relative path",
			change: func(s *scenario) { s.Options.Path = "server" },
			want:   `cannot exec "server": not an absolute path`,
		},
		{
			name:   "a program that is not there",
			change: func(s *scenario) { s.Options.Path = filepath.Join(dir, "none") },
			want: "cannot exec \"" + filepath.Join(dir, "none") + "\": no such file or directory" +
				"\nhint: the file, or the interpreter that it names, does not exist\nexit code 127",
		},
		{
			name:   "a script whose interpreter is not there",
			change: func(s *scenario) { s.Options.Path = file(t, dir, "lost", "#!/no/such\n", 0o755) },
			want: "cannot exec \"" + filepath.Join(dir, "lost") + "\": no such file or directory" +
				"\nhint: the file, or the interpreter that it names, does not exist\nexit code 127",
		},
		{
			name:   "text without an interpreter",
			change: func(s *scenario) { s.Options.Path = file(t, dir, "text", "echo hello\n", 0o755) },
			want: "cannot exec \"" + filepath.Join(dir, "text") + "\": exec format error" +
				"\nhint: the file is neither a program for this machine nor a script that begins with #!\nexit code 126",
		},
		{
			name:   "a file that only root may execute",
			change: func(s *scenario) { s.Options.Path = file(t, dir, "private.sh", "#!/bin/sh\n", 0o700) },
			want: "cannot exec \"" + filepath.Join(dir, "private.sh") + "\": permission denied" +
				"\nhint: the file is not executable for this user, or its file system is mounted noexec\nexit code 126",
		},
		{
			name: "a variable that is too long",
			change: func(s *scenario) {
				s.Options.Path, s.Plan.Env = "/bin/sh", []string{"A=" + strings.Repeat("a", 128<<10)}
			},
			want: "cannot exec \"/bin/sh\": argument list too long" +
				"\nhint: the command or the environment is too long; a single variable may have 128 KiB\nexit code 126",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newScenario(t)
			tt.change(&s)
			cmd := command(t, s)
			var stdout, stderr strings.Builder
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			if err := cmd.Run(); err == nil {
				t.Error("Exec succeeded")
			}
			if diff := cmp.Diff(tt.want, stderr.String()); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			if stdout.Len() > 0 {
				t.Errorf("a program ran and printed %q", stdout.String())
			}
		})
	}
}

// newScenario hands over to the reporting server as user 1000:1000, or as the
// user that runs the tests.
func newScenario(t *testing.T) scenario {
	t.Helper()
	user := ids.User{UID: 1000, GID: 1000}
	if os.Geteuid() != 0 {
		user = ids.User{UID: uint32(os.Getuid()), GID: uint32(os.Getgid())}
	}
	dir := openDir(t)
	return scenario{
		Plan: launch.Plan{
			Argv: []string{"server", reportServer, "now"},
			Env:  []string{"A=b"},
			Dir:  dir,
			User: user,
		},
		Options: handoff.Options{Path: program(t, dir), Umask: 0o022},
		Umask:   0o077,
	}
}

// start runs the scenario and returns what its server found.
func start(t *testing.T, s scenario) report {
	t.Helper()
	cmd := command(t, s)
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	var got report
	if err := json.Unmarshal([]byte(stdout.String()), &got); err != nil {
		t.Fatalf("%v: %q", err, stdout.String())
	}
	return got
}

func command(t *testing.T, s scenario) *exec.Cmd {
	t.Helper()
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program(t, openDir(t)), runHandoff)
	cmd.Stdin = bytes.NewReader(text)
	if s.NotAsRoot && os.Geteuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 1000, Gid: 1000}}
	}
	return cmd
}

// openDir returns a directory that every user may enter; that of the test
// binary and t.TempDir are private.
func openDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(name, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// program copies the test binary to where every user may execute it.
func program(t *testing.T, dir string) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, "program")
	if os.Link(self, name) == nil {
		return name
	}
	copyFile(t, self, name)
	return name
}

// copyFile copies a program. Another process does: a descriptor of ours that
// writes to it could be inherited by a child that a parallel test starts at this
// moment, and the program would be busy (https://go.dev/issue/22315).
func copyFile(t *testing.T, from, to string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "cp", from, to).CombinedOutput(); err != nil {
		t.Fatalf("cannot copy %s: %v\n%s", from, err, out)
	}
}

func file(t *testing.T, dir, name, text string, mode os.FileMode) string {
	t.Helper()
	name = filepath.Join(dir, name)
	if err := os.WriteFile(name, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return name
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can show how root is dropped")
	}
}
