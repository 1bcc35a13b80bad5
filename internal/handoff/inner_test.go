package handoff_test

import (
	"encoding/binary"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/drengskapur/fastmcp-runner/internal/handoff"
)

// inner is what testdata/inner reports.
type inner struct {
	May     handoff.Abilities
	Threads []string
	Root    []string
	Dir     string
	UID     int
	Proc    bool
}

// buildInner builds testdata/inner into dir: static, because a root in a test
// has no libraries, and cgo would keep Raise from reaching all threads.
func buildInner(t *testing.T, dir string) string {
	t.Helper()
	name := filepath.Join(dir, "inner")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", name, "./testdata/inner")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("cannot build the inner program: %v\n%s", err, out)
	}
	return name
}

// run returns what the inner program reports, or how it failed.
func run(t *testing.T, cmd *exec.Cmd) (found inner, failure string) {
	t.Helper()
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return found, stderr.String()
	}
	if err := json.Unmarshal([]byte(stdout.String()), &found); err != nil {
		t.Fatalf("%v: %q", err, stdout.String())
	}
	return found, ""
}

func TestExecEntersARoot(t *testing.T) {
	t.Parallel()
	needRoot(t)
	built := buildInner(t, openDir(t))
	for _, tt := range []struct {
		name    string
		prepare func(t *testing.T, root string)
		change  func(*scenario)
		want    inner
		failure string
	}{
		{
			name:   "by mounting, with the kernel's file systems and the container's data",
			change: func(s *scenario) { s.Options.Mount = true },
			want:   inner{Root: withData("dev", "inner", "proc", "sys", "work"), Dir: "/work", UID: 1000, Proc: true},
		},
		{
			name: "by chroot, without them",
			want: inner{Root: []string{"inner", "work"}, Dir: "/work", UID: 1000},
		},
		{
			name:   "by chroot, with a program from outside",
			change: func(s *scenario) { s.Options.Path, s.Options.Outside = built, true },
			want:   inner{Root: []string{"inner", "work"}, Dir: "/work", UID: 1000},
		},
		{
			name: "a link of the image in the place of /proc is not followed",
			prepare: func(t *testing.T, root string) {
				t.Helper()
				if err := os.Symlink("/work", filepath.Join(root, "proc")); err != nil {
					t.Fatal(err)
				}
			},
			change:  func(s *scenario) { s.Options.Mount = true },
			failure: "/proc: open proc: not a directory",
		},
		{
			name:    "a directory that is outside of the root does not exist",
			change:  func(s *scenario) { s.Plan.Dir = s.Options.Root },
			failure: "cannot enter the working directory",
		},
		{
			name:    "by somebody who may not",
			change:  func(s *scenario) { s.NotAsRoot = true },
			failure: "operation not permitted\nhint: fastmcp-runner doctor says which ways",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			root := openDir(t)
			if err := os.Mkdir(filepath.Join(root, "work"), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.Link(built, filepath.Join(root, "inner")); err != nil {
				t.Fatal(err)
			}
			if tt.prepare != nil {
				tt.prepare(t, root)
			}
			s := newScenario(t)
			s.Plan.Argv, s.Plan.Dir = []string{"inner"}, "/work"
			s.Options.Path, s.Options.Root = "/inner", root
			if tt.change != nil {
				tt.change(&s)
			}
			got, failure := run(t, command(t, s))
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-want +got\n%s\n%s", diff, failure)
			}
			if !strings.Contains(failure, tt.failure) || tt.failure == "" && failure != "" {
				t.Errorf("the failure is %q, want %q in it", failure, tt.failure)
			}
			if mounts, err := os.ReadFile("/proc/self/mountinfo"); err != nil || strings.Contains(string(mounts), root) {
				t.Errorf("its mounts appear in the container: %v\n%s", err, mounts)
			}
		})
	}
}

// withData adds /data where this machine has one.
func withData(names ...string) []string {
	if _, err := os.Stat("/data"); err != nil {
		return names
	}
	return append([]string{"data"}, names...)
}

func TestRaise(t *testing.T) {
	t.Parallel()
	needRoot(t)
	const (
		chown  = 1 << unix.CAP_CHOWN
		become = 1<<unix.CAP_SETUID | 1<<unix.CAP_SETGID
	)
	built := buildInner(t, openDir(t))
	for _, tt := range []struct {
		name      string
		permitted uint32
		want      handoff.Abilities
		effective string
	}{
		{"a file that permits all raises all", chown | become, handoff.Abilities{Chown: true, Become: true}, "00000000000000c1"},
		{"one that permits a part", chown, handoff.Abilities{Chown: true}, "0000000000000001"},
		{"half of what it takes to become somebody else is nothing", 1 << unix.CAP_SETUID, handoff.Abilities{}, "0000000000000080"},
		{"an ordinary file raises nothing", 0, handoff.Abilities{}, "0000000000000000"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			name := filepath.Join(openDir(t), "inner")
			copyFile(t, built, name)
			permit(t, name, tt.permitted)
			cmd := exec.CommandContext(t.Context(), name, "raise")
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 1000, Gid: 1000}}
			got, failure := run(t, cmd)
			if failure != "" || got.May != tt.want {
				t.Errorf("Raise = %+v, %q, want %+v", got.May, failure, tt.want)
			}
			if len(got.Threads) < 2 {
				t.Errorf("the program has the threads %v, want more than one", got.Threads)
			}
			for _, effective := range got.Threads {
				if effective != tt.effective {
					t.Errorf("a thread has the capabilities %s in effect, want %s", effective, tt.effective)
				}
			}
		})
	}
}

// permit gives a file permitted capabilities that are not in effect at first
// (struct vfs_cap_data of linux/capability.h, revision 2).
func permit(t *testing.T, name string, capabilities uint32) {
	t.Helper()
	if capabilities == 0 {
		return
	}
	const revision = 0x02000000
	var data []byte
	for _, word := range []uint32{revision, capabilities, 0, 0, 0} {
		data = binary.LittleEndian.AppendUint32(data, word)
	}
	if err := unix.Setxattr(name, "security.capability", data, 0); err != nil {
		t.Fatal(err)
	}
}
