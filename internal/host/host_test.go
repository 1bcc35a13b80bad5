package host_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	"golang.org/x/sys/unix"

	"github.com/drengskapur/fastmcp-runner/internal/host"
	"github.com/drengskapur/fastmcp-runner/internal/ids"
)

const (
	dockers = 0x00000000a80425fb // what Docker leaves root
	all     = 0x000003ffffffffff
)

// readHost returns the texts of a host whose samples lie in testdata/hosts.
func readHost(tb testing.TB, name string) fstest.MapFS {
	tb.Helper()
	archive, err := txtar.ParseFile(filepath.Join("testdata", "hosts", name+".txtar"))
	if err != nil {
		tb.Fatal(err)
	}
	files := fstest.MapFS{}
	for _, file := range archive.Files {
		files[file.Name] = &fstest.MapFile{Data: file.Data}
	}
	return files
}

// described returns the facts that the texts of a host tell, without those of
// the machine that the test runs on.
func described(facts host.Facts) host.Facts {
	facts.Machine, facts.Root, facts.Tmp, facts.Shm = host.Machine{}, host.Directory{}, host.Directory{}, host.Directory{}
	facts.Mounts = nil
	return facts
}

func TestProbeReadsTheTextsOfAHost(t *testing.T) {
	t.Parallel()
	debian := host.Kernel{Release: "6.1.0-26-amd64", GVisor: host.No}
	yes, notTried := host.Answer{Verdict: host.Yes}, host.Answer{Cause: "not tried"}
	unlimited := host.Limits{MemoryBytes: host.Unlimited, CPUMillis: host.Unlimited, PIDs: host.Unlimited}
	root := host.User{Groups: []uint32{0}}
	dockerRoot := &host.CapabilitySets{Bounding: dockers, Permitted: dockers, Effective: dockers}
	for _, tt := range []struct {
		name string
		want host.Facts
	}{
		{
			name: "docker-root",
			want: host.Facts{Kernel: debian, User: root, Capabilities: dockerRoot, NoNewPrivs: host.No, Seccomp: host.SeccompFilter, Ptrace: yes, Limits: unlimited},
		},
		{
			name: "docker-v2",
			want: host.Facts{
				Kernel: host.Kernel{Release: "6.10.14-linuxkit", GVisor: host.No},
				User:   root, Capabilities: dockerRoot, NoNewPrivs: host.No, Seccomp: host.SeccompFilter, Ptrace: yes, Limits: unlimited,
			},
		},
		{
			name: "docker-admin",
			want: host.Facts{
				Kernel: debian, User: root, NoNewPrivs: host.No, Seccomp: host.SeccompFilter, Ptrace: yes, Limits: unlimited,
				Capabilities: &host.CapabilitySets{
					Bounding: dockers | 1<<unix.CAP_SYS_ADMIN, Permitted: dockers | 1<<unix.CAP_SYS_ADMIN, Effective: dockers | 1<<unix.CAP_SYS_ADMIN,
				},
			},
		},
		{
			name: "docker-user",
			want: host.Facts{
				Kernel: debian, User: host.User{User: ids.User{UID: 1000}, Groups: []uint32{0}}, Capabilities: &host.CapabilitySets{Bounding: dockers},
				NoNewPrivs: host.No, Seccomp: host.SeccompFilter, Ptrace: yes, Limits: unlimited,
			},
		},
		{
			name: "docker-user-nothing",
			want: host.Facts{
				Kernel: debian, User: host.User{User: ids.User{UID: 1000, GID: 1000}, Groups: []uint32{1000}}, Capabilities: &host.CapabilitySets{},
				NoNewPrivs: host.Yes, Seccomp: host.SeccompFilter, Ptrace: yes, Limits: unlimited,
			},
		},
		{
			name: "docker-user-unconfined",
			want: host.Facts{
				Kernel: debian, User: host.User{User: ids.User{UID: 1000, GID: 1000}, Groups: []uint32{100, 1000}}, Capabilities: &host.CapabilitySets{Bounding: dockers},
				NoNewPrivs: host.No, Seccomp: host.SeccompDisabled, Ptrace: yes, Limits: unlimited,
			},
		},
		{
			name: "docker-read-only",
			want: host.Facts{
				Kernel: debian, User: root, Capabilities: dockerRoot, NoNewPrivs: host.No, Seccomp: host.SeccompFilter, Ptrace: yes,
				Limits: host.Limits{MemoryBytes: 256 << 20, CPUMillis: 500, PIDs: 100},
			},
		},
		{
			name: "kubernetes-v2",
			want: host.Facts{
				Kernel: debian, User: host.User{User: ids.User{UID: 1000, GID: 1000}, Groups: []uint32{1000, 2000}}, Capabilities: &host.CapabilitySets{},
				NoNewPrivs: host.Yes, Seccomp: host.SeccompFilter, Ptrace: yes,
				Limits: host.Limits{MemoryBytes: 512 << 20, CPUMillis: 250, PIDs: host.Unlimited},
			},
		},
		{
			name: "gvisor",
			want: host.Facts{
				Kernel: host.Kernel{Release: "4.4.0", GVisor: host.Yes},
				User:   host.User{User: ids.User{UID: 1000, GID: 1000}, Groups: []uint32{1000}}, Capabilities: &host.CapabilitySets{Bounding: 0x00000000a80405fb},
				Seccomp: host.SeccompDisabled, Ptrace: yes,
			},
		},
		{
			name: "laptop",
			want: host.Facts{
				Kernel:     host.Kernel{Release: "6.8.0-45-generic", GVisor: host.No},
				User:       host.User{User: ids.User{UID: 1000, GID: 1000}, Groups: []uint32{4, 24, 27, 30, 46, 100, 1000}},
				NoNewPrivs: host.No, Seccomp: host.SeccompDisabled, Ptrace: yes,
				Capabilities: &host.CapabilitySets{Bounding: 0x000001ffffffffff, Inheritable: 1 << unix.CAP_WAKE_ALARM},
				Limits:       host.Limits{MemoryBytes: 8 << 30, CPUMillis: 1500, PIDs: 42350},
			},
		},
		{
			name: "microvm",
			want: host.Facts{
				Kernel: host.Kernel{Release: "6.12.8-fly", GVisor: host.No},
				User:   host.User{Groups: []uint32{}}, Capabilities: &host.CapabilitySets{Bounding: all, Permitted: all, Effective: all},
				NoNewPrivs: host.No, Seccomp: host.SeccompDisabled, Ptrace: yes, Limits: unlimited,
			},
		},
		{
			name: "hybrid",
			want: host.Facts{
				Kernel: host.Kernel{Release: "5.15.0-87-generic", GVisor: host.No},
				User:   host.User{User: ids.User{UID: 1000, GID: 100}, Groups: []uint32{}}, Ptrace: yes,
				Limits: host.Limits{MemoryBytes: host.Unlimited, CPUMillis: 1}, // pids is mounted nowhere
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			want := tt.want
			want.Proc, want.Directories, want.Problems = true, []host.Directory{}, []string{}
			want.UserNamespaces, want.Mounting, want.Chroot = notTried, notTried, notTried
			facts := host.Probe(t.Context(), host.Options{Files: readHost(t, tt.name)})
			if diff := cmp.Diff(want, described(facts)); diff != "" {
				t.Errorf("Probe: -want +got\n%s", diff)
			}
		})
	}
}

func TestProbeWithoutProc(t *testing.T) {
	t.Parallel()
	got := host.Probe(t.Context(), host.Options{Files: readHost(t, "no-proc")})
	if got.Kernel.Release == "" {
		t.Error("trap 40: without /proc, uname(2) does not tell the release")
	}
	if int(got.User.UID) != os.Geteuid() || int(got.User.GID) != os.Getegid() {
		t.Errorf("trap 40: without /proc the user is %+v, want %d:%d", got.User, os.Geteuid(), os.Getegid())
	}
	if got.Mounts != nil {
		t.Errorf("trap 40: without /proc the mounts are %+v, want nil: unknown", got.Mounts)
	}
	got = described(got)
	got.Kernel, got.User = host.Kernel{}, host.User{}
	want := host.Facts{
		UserNamespaces: host.Answer{Cause: "not tried"},
		Mounting:       host.Answer{Cause: "not tried"},
		Chroot:         host.Answer{Cause: "not tried"},
		Ptrace:         host.Answer{Cause: "there is no /proc"},
		Directories:    []host.Directory{},
		Problems:       []string{},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("trap 40: Probe without /proc: -want +got\n%s", diff)
	}
}

func TestProbeNotesWhatItCannotRead(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, file, text, want string }{
		{
			"a mount without a point", "proc/self/mountinfo", "1 0 0:1 / / rw - tmpfs none rw\n2 1\n",
			"cannot parse line 2 of mountinfo: there are not six fields before the separator",
		},
		{
			"an odd set of capabilities", "proc/self/status", "CapEff:\tz\n",
			`cannot parse the status of the process: CapEff is "z", which is not a set of capabilities`,
		},
		{
			"a group that is nowhere", "proc/self/cgroup", "0::\n",
			`cannot parse the control groups: "0::" is not hierarchy:controllers:path`,
		},
		{
			"an odd limit", "sys/fs/cgroup/memory.max", "lots\n",
			`cannot parse /sys/fs/cgroup/memory.max: "lots" is not a limit`,
		},
		{
			"a limit below zero", "sys/fs/cgroup/pids.max", "-2\n",
			`cannot parse /sys/fs/cgroup/pids.max: "-2" is not a limit`,
		},
		{
			"a processor without a period", "sys/fs/cgroup/cpu.max", "max 0\n",
			`cannot parse the period of /sys/fs/cgroup/cpu.max: "0" is not a number of microseconds`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			files := readHost(t, "docker-v2")
			files[tt.file] = &fstest.MapFile{Data: []byte(tt.text)}
			facts := host.Probe(t.Context(), host.Options{Files: files})
			if diff := cmp.Diff([]string{tt.want}, facts.Problems); diff != "" {
				t.Errorf("Problems: -want +got\n%s", diff)
			}
		})
	}
}

// unreadable is a host that refuses to show one of its files.
type unreadable struct {
	fs.FS

	name string
}

func (u unreadable) Open(name string) (fs.File, error) {
	if name == u.name {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
	}
	return u.FS.Open(name)
}

func TestProbeGoesOnWhereAFileIsUnreadable(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"proc/version", "proc/self/status", "proc/self/mountinfo", "proc/self/cgroup",
		"proc/sys/kernel/yama/ptrace_scope", "sys/fs/cgroup/memory.max",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			facts := host.Probe(t.Context(), host.Options{Files: unreadable{readHost(t, "kubernetes-v2"), name}})
			want := []string{"cannot read /" + name + ": permission denied"}
			if diff := cmp.Diff(want, facts.Problems); diff != "" {
				t.Errorf("Problems: -want +got\n%s", diff)
			}
			if facts.Kernel.Release == "" {
				t.Error("the release is unknown, want what uname(2) tells")
			}
		})
	}
}

func TestProbeTellsGVisorFromLinux(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, version string
		sentry        bool
		want          host.Verdict
	}{
		{name: "gVisor since 2026", version: "Linux version 4.19.0-gvisor #1 SMP Sun Jan 10 15:06:54 PST 2016", want: host.Yes},
		{name: "gVisor before", version: "Linux version 4.4.0 #1 SMP Sun Jan 10 15:06:54 PST 2016", want: host.Yes},
		{name: "a gVisor that was told another release", version: "Linux version 5.10.0 #1 SMP", sentry: true, want: host.Yes},
		{name: "a real 4.4", version: "Linux version 4.4.0-210-generic (buildd@lgw01-amd64-009) #242-Ubuntu SMP Fri Apr 16 09:57:56 UTC 2021", want: host.No},
		{name: "something else", version: "Darwin", want: host.Unknown},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			files := fstest.MapFS{"proc/version": {Data: []byte(tt.version + "\n")}}
			if tt.sentry {
				files["proc/sentry-meminfo"] = &fstest.MapFile{}
			}
			if got := host.Probe(t.Context(), host.Options{Files: files}).Kernel.GVisor; got != tt.want {
				t.Errorf("GVisor of %q = %v, want %v", tt.version, got, tt.want)
			}
		})
	}
}

func TestProbeKnowsWhoMayTrace(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, scope, status string
		want                host.Answer
	}{
		{"anybody", "0", "", host.Answer{Verdict: host.Yes}},
		{"only parents, which is enough", "1", "", host.Answer{Verdict: host.Yes}},
		{"only the mighty, and this is one", "2", "CapEff: 80000", host.Answer{Verdict: host.Yes}},
		{
			"only the mighty, and this is none", "2", "CapEff: 7ffff",
			host.Answer{Verdict: host.No, Cause: "kernel.yama.ptrace_scope is 2 and CAP_SYS_PTRACE is missing"},
		},
		{"only the mighty, and nothing is known", "2", "", host.Answer{Cause: "the capabilities are unknown"}},
		{"nobody", "3", "CapEff: ffffffff", host.Answer{Verdict: host.No, Cause: "kernel.yama.ptrace_scope is 3"}},
		{"a scope of the future", "4", "", host.Answer{Cause: "kernel.yama.ptrace_scope is 4"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			files := fstest.MapFS{
				"proc/self/status":                  {Data: []byte(tt.status + "\n")},
				"proc/sys/kernel/yama/ptrace_scope": {Data: []byte(tt.scope + "\n")},
			}
			if got := host.Probe(t.Context(), host.Options{Files: files}).Ptrace; got != tt.want {
				t.Errorf("Ptrace = %v, want %v", got, tt.want)
			}
		})
	}
}
