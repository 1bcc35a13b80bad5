package host_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/drengskapur/fastmcp-runner/internal/host"
)

func TestCapabilityNames(t *testing.T) {
	t.Parallel()
	for name, number := range map[string]host.Capability{
		"CAP_CHOWN":              unix.CAP_CHOWN,
		"CAP_DAC_OVERRIDE":       unix.CAP_DAC_OVERRIDE,
		"CAP_DAC_READ_SEARCH":    unix.CAP_DAC_READ_SEARCH,
		"CAP_FOWNER":             unix.CAP_FOWNER,
		"CAP_FSETID":             unix.CAP_FSETID,
		"CAP_KILL":               unix.CAP_KILL,
		"CAP_SETGID":             unix.CAP_SETGID,
		"CAP_SETUID":             unix.CAP_SETUID,
		"CAP_SETPCAP":            unix.CAP_SETPCAP,
		"CAP_LINUX_IMMUTABLE":    unix.CAP_LINUX_IMMUTABLE,
		"CAP_NET_BIND_SERVICE":   unix.CAP_NET_BIND_SERVICE,
		"CAP_NET_BROADCAST":      unix.CAP_NET_BROADCAST,
		"CAP_NET_ADMIN":          unix.CAP_NET_ADMIN,
		"CAP_NET_RAW":            unix.CAP_NET_RAW,
		"CAP_IPC_LOCK":           unix.CAP_IPC_LOCK,
		"CAP_IPC_OWNER":          unix.CAP_IPC_OWNER,
		"CAP_SYS_MODULE":         unix.CAP_SYS_MODULE,
		"CAP_SYS_RAWIO":          unix.CAP_SYS_RAWIO,
		"CAP_SYS_CHROOT":         unix.CAP_SYS_CHROOT,
		"CAP_SYS_PTRACE":         unix.CAP_SYS_PTRACE,
		"CAP_SYS_PACCT":          unix.CAP_SYS_PACCT,
		"CAP_SYS_ADMIN":          unix.CAP_SYS_ADMIN,
		"CAP_SYS_BOOT":           unix.CAP_SYS_BOOT,
		"CAP_SYS_NICE":           unix.CAP_SYS_NICE,
		"CAP_SYS_RESOURCE":       unix.CAP_SYS_RESOURCE,
		"CAP_SYS_TIME":           unix.CAP_SYS_TIME,
		"CAP_SYS_TTY_CONFIG":     unix.CAP_SYS_TTY_CONFIG,
		"CAP_MKNOD":              unix.CAP_MKNOD,
		"CAP_LEASE":              unix.CAP_LEASE,
		"CAP_AUDIT_WRITE":        unix.CAP_AUDIT_WRITE,
		"CAP_AUDIT_CONTROL":      unix.CAP_AUDIT_CONTROL,
		"CAP_SETFCAP":            unix.CAP_SETFCAP,
		"CAP_MAC_OVERRIDE":       unix.CAP_MAC_OVERRIDE,
		"CAP_MAC_ADMIN":          unix.CAP_MAC_ADMIN,
		"CAP_SYSLOG":             unix.CAP_SYSLOG,
		"CAP_WAKE_ALARM":         unix.CAP_WAKE_ALARM,
		"CAP_BLOCK_SUSPEND":      unix.CAP_BLOCK_SUSPEND,
		"CAP_AUDIT_READ":         unix.CAP_AUDIT_READ,
		"CAP_PERFMON":            unix.CAP_PERFMON,
		"CAP_BPF":                unix.CAP_BPF,
		"CAP_CHECKPOINT_RESTORE": unix.CAP_CHECKPOINT_RESTORE,
		"CAP_41":                 unix.CAP_LAST_CAP + 1,
		"CAP_63":                 63,
	} {
		if number.String() != name {
			t.Errorf("Capability(%d).String() = %q, want %q", int(number), number, name)
		}
		if got, err := host.ParseCapability(name); err != nil || got != number {
			t.Errorf("ParseCapability(%q) = %d, %v, want %d", name, got, err, number)
		}
	}
}

func TestParseCapabilityAsEnginesWriteIt(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"SYS_ADMIN", "sys_admin", "cap_sys_admin", "21"} {
		if got, err := host.ParseCapability(name); err != nil || got != unix.CAP_SYS_ADMIN {
			t.Errorf("ParseCapability(%q) = %v, %v, want %d", name, got, err, unix.CAP_SYS_ADMIN)
		}
	}
	for _, name := range []string{"", "CAP_", "ALL", "CAP_64", "-1", "256", "SYS ADMIN"} {
		if got, err := host.ParseCapability(name); err == nil {
			t.Errorf("ParseCapability(%q) = %v, want an error", name, got)
		}
	}
}

func TestCapabilitiesAsJSON(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		set  host.Capabilities
		want string
	}{
		{"none", 0, `[]`},
		{"in the order of their numbers", 1<<unix.CAP_SYS_ADMIN | 1<<unix.CAP_CHOWN | 1<<63, `["CAP_CHOWN","CAP_SYS_ADMIN","CAP_63"]`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := json.Marshal(tt.set)
			if err != nil || string(got) != tt.want {
				t.Errorf("Marshal(%#x) = %s, %v, want %s", uint64(tt.set), got, err, tt.want)
			}
			again := host.Capabilities(1)
			if err := json.Unmarshal(got, &again); err != nil || again != tt.set {
				t.Errorf("Unmarshal(%s) = %#x, %v, want %#x", got, uint64(again), err, uint64(tt.set))
			}
		})
	}
	var set host.Capabilities
	for _, text := range []string{`["CAP_SUPER"]`, `7`} {
		if err := json.Unmarshal([]byte(text), &set); err == nil {
			t.Errorf("Unmarshal(%s) = %v, want an error", text, set.Names())
		}
	}
}

func TestFactsAsJSON(t *testing.T) {
	t.Parallel()
	want := host.Probe(t.Context(), host.Options{Files: readHost(t, "kubernetes-v2"), Directories: []string{"/", "/missing"}})
	want.Mounting = host.Answer{Verdict: host.No, Cause: "EPERM"}
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got host.Facts
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the facts after JSON: -want +got\n%s", diff)
	}
}

func TestFactsAsJSONHaveStableNames(t *testing.T) {
	t.Parallel()
	text, err := json.Marshal(host.Facts{Mounting: host.Answer{Verdict: host.No, Cause: "EPERM"}})
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"kernel":{"release":"","gvisor":"unknown"},` +
		`"machine":{"architecture":"","cpus":0,"memory_bytes":0},` +
		`"user":{"uid":0,"gid":0,"groups":null},"capabilities":null,"no_new_privs":"unknown","seccomp":"unknown",` +
		`"user_namespaces":{"verdict":"unknown"},"mounting":{"verdict":"no","cause":"EPERM"},` +
		`"chroot":{"verdict":"unknown"},"ptrace":{"verdict":"unknown"},` +
		`"proc":false,"mounts":null,"limits":{"memory_bytes":0,"cpu_millis":0,"pids":0},` +
		`"root":{"path":"","writable":{"verdict":"unknown"},"file_system":null},` +
		`"tmp":{"path":"","writable":{"verdict":"unknown"},"file_system":null},` +
		`"shm":{"path":"","writable":{"verdict":"unknown"},"file_system":null},` +
		`"directories":null,"problems":null}`
	if diff := cmp.Diff(want, string(text)); diff != "" {
		t.Errorf("the zero facts as JSON: -want +got\n%s", diff)
	}
}

func TestWordsOfTheFutureAreErrors(t *testing.T) {
	t.Parallel()
	for _, text := range []string{`{"no_new_privs":"maybe"}`, `{"seccomp":"loose"}`, `{"mounting":{"verdict":""}}`} {
		var facts host.Facts
		if err := json.Unmarshal([]byte(text), &facts); err == nil {
			t.Errorf("Unmarshal(%s) is no error", text)
		}
	}
}
