package fakeroot_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/drengskapur/fastmcp-runner/internal/fakeroot"
)

// The test binary is also the program that runs under the filter: it becomes an
// ordinary user, installs the filter, and then does the calls, or starts a
// program.
const (
	makeCalls    = "--calls"
	startProgram = "--start"
)

const ordinary = 1000

func TestMain(m *testing.M) {
	if len(os.Args) < 3 {
		m.Run()
		return
	}
	var err error
	switch os.Args[1] {
	case makeCalls:
		err = playCalls(os.Args[2])
	case startProgram:
		err = playProgram(os.Args[2:])
	default:
		m.Run()
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		syscall.Exit(1) // an ordinary end costs a second under the race detector
	}
	syscall.Exit(0)
}

// playCalls makes the calls and reports them on standard output.
func playCalls(dir string) error {
	if err := becomeOrdinary(); err != nil {
		return err
	}
	before := calls(dir)
	if err := fakeroot.Install(); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode([]map[string]string{before, calls(dir)})
}

// playProgram starts a program in the thread that has the filter, and so has it
// go through fork and execve.
func playProgram(argv []string) error {
	if err := becomeOrdinary(); err != nil {
		return err
	}
	if err := fakeroot.Install(); err != nil {
		return err
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd.Run()
}

// becomeOrdinary gives up root, if there is any. Only this thread matters.
func becomeOrdinary() error {
	runtime.LockOSThread()
	if os.Geteuid() != 0 {
		return nil
	}
	for _, call := range [][4]uintptr{
		{unix.SYS_SETGROUPS},
		{unix.SYS_SETRESGID, ordinary, ordinary, ordinary},
		{unix.SYS_SETRESUID, ordinary, ordinary, ordinary},
	} {
		if _, _, errno := unix.RawSyscall(call[0], call[1], call[2], call[3]); errno != 0 {
			return fmt.Errorf("call %d: %w", call[0], errno)
		}
	}
	return nil
}

// calls tells what each call returns to an ordinary user, and what the ids and
// the owner of the file are after all of them.
func calls(dir string) map[string]string {
	file := filepath.Join(dir, "file")
	fd, err := unix.Open(file, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return map[string]string{"open": err.Error()}
	}
	got := map[string]string{
		"chown":       result(unix.Chown(file, 0, 0)),
		"lchown":      result(unix.Lchown(file, 0, 0)),
		"fchown":      result(unix.Fchown(fd, 0, 0)),
		"fchownat":    result(unix.Fchownat(unix.AT_FDCWD, file, 0, 0, unix.AT_SYMLINK_NOFOLLOW)),
		"setuid":      raw(unix.SYS_SETUID, 0, 0, 0),
		"setreuid":    raw(unix.SYS_SETREUID, 0, 0, 0),
		"setresuid":   raw(unix.SYS_SETRESUID, 1, 2, 3),
		"setgid":      raw(unix.SYS_SETGID, 0, 0, 0),
		"setregid":    raw(unix.SYS_SETREGID, 0, 0, 0),
		"setresgid":   raw(unix.SYS_SETRESGID, 1, 2, 3),
		"setgroups":   raw(unix.SYS_SETGROUPS, 0, 0, 0),
		"setfsuid":    raw(unix.SYS_SETFSUID, 0, 0, 0),
		"mknod":       result(unix.Mknod(filepath.Join(dir, "null"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3)))),
		"sethostname": raw(unix.SYS_SETHOSTNAME, 0, 0, 0),
		"close":       result(unix.Close(-1)),
	}
	var stat unix.Stat_t
	got["fstat"] = result(unix.Fstat(fd, &stat))
	got["owner"] = "not the user"
	if stat.Uid == uint32(os.Getuid()) && stat.Gid == uint32(os.Getgid()) {
		got["owner"] = "the user"
	}
	ruid, euid, suid := unix.Getresuid()
	rgid, egid, sgid := unix.Getresgid()
	groups, err := unix.Getgroups()
	got["ids"] = fmt.Sprint(ruid, euid, suid, rgid, egid, sgid, groups, err)
	return got
}

func raw(call, a, b, c uintptr) string {
	ret, _, errno := unix.RawSyscall(call, a, b, c)
	if errno != 0 {
		return errno.Error()
	}
	return fmt.Sprint(ret)
}

func result(err error) string {
	if err != nil {
		return err.Error()
	}
	return "0"
}

func TestCallsSucceedWithoutEffect(t *testing.T) {
	t.Parallel()
	out := play(t, makeCalls, ownDir(t))
	var got []map[string]string
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatalf("%v: %q", err, out)
	}
	before, after := got[0], got[1]
	want := maps.Clone(before)
	for _, call := range []string{
		"chown", "lchown", "fchown", "fchownat", "setuid", "setreuid", "setresuid", "setgid", "setregid", "setresgid", "setgroups",
	} {
		if before[call] != unix.EPERM.Error() {
			t.Errorf("without the filter, %s is %q, so that this test shows nothing", call, before[call])
		}
		want[call] = "0"
	}
	if before["owner"] != "the user" {
		t.Errorf("the file is not the user's own, so that this test shows nothing")
	}
	if diff := cmp.Diff(want, after); diff != "" {
		t.Errorf("with the filter: -want +got\n%s", diff)
	}
}

func TestProgramsRunUnderTheFilter(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, script, want string }{
		{
			name:   "execve and fork keep the filter and no_new_privs",
			script: `sh -c 'grep -E "^(NoNewPrivs|Seccomp):" /proc/self/status'`,
			want:   "NoNewPrivs:\t1\nSeccomp:\t2\n",
		},
		{
			name:   "chown of files that are the user's own",
			script: `chown -R root:root . && chown daemon file && echo done`,
			want:   "done\n",
		},
		{
			name:   "install with an owner",
			script: `install -o daemon -g daemon -m 640 file copy && install -d -o daemon dir && stat -c %a copy dir`,
			want:   "640\n755\n",
		},
		{
			name:   "an entrypoint that gives a directory away and drops root by setpriv",
			script: `chown -R daemon . && exec setpriv --reuid=daemon --regid=daemon --init-groups --inh-caps=-all echo served`,
			want:   "served\n",
		},
		{
			name:   "an entrypoint that asks first takes its way for ordinary users",
			script: `if [ "$(id -u)" = 0 ]; then exec runuser -u daemon echo root; fi; echo ordinary`,
			want:   "ordinary\n",
		},
		{
			name:   "fifos are made, because mknod is let through",
			script: `mkfifo fifo && test -p fifo && echo made`,
			want:   "made\n",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := play(t, startProgram, "/bin/sh", "-c", `cd "$1" && `+tt.script, "sh", ownDir(t))
			if got != tt.want {
				t.Errorf("%s\nprints %q, want %q", tt.script, got, tt.want)
			}
		})
	}
}

// play runs this binary as one of its programs and returns what it prints.
func play(t *testing.T, args ...string) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var stderr strings.Builder
	cmd := exec.CommandContext(t.Context(), self, args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	return string(out)
}

// ownDir is a directory with a file that both belong to the ordinary user.
func ownDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() != 0 {
		return dir
	}
	for _, name := range []string{dir, file} {
		if err := os.Chown(name, ordinary, ordinary); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}
