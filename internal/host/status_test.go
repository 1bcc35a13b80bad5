package host_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/drengskapur/fastmcp-runner/internal/host"
	"github.com/drengskapur/fastmcp-runner/internal/ids"
)

func TestParseStatus(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, text string
		want       host.Status
	}{
		{"nothing is known of an empty text", "", host.Status{}},
		{
			"the effective ids count",
			"Uid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\nGroups:\t9 10 \n",
			host.Status{User: &host.User{User: ids.User{UID: 2, GID: 6}, Groups: []uint32{9, 10}}},
		},
		{
			"trap 54: the largest id",
			"Uid:\t0\t4294967295\t0\t0\nGid:\t0\t4294967295\t0\t0\n",
			host.Status{User: &host.User{User: ids.User{UID: 1<<32 - 1, GID: 1<<32 - 1}, Groups: []uint32{}}},
		},
		{"half a user is none", "Uid:\t1\t2\t3\t4\n", host.Status{}},
		{
			"a name that looks like a field",
			"Name:\tUid: 1 2 3 4\nSeccomp:\t1\n",
			host.Status{Seccomp: host.SeccompStrict},
		},
		{
			"every set",
			"CapInh:\t1\nCapPrm:\t2\nCapEff:\t4\nCapBnd:\tffffffffffffffff\nCapAmb:\t10\nNoNewPrivs:\t1\n",
			host.Status{
				Capabilities: &host.CapabilitySets{Inheritable: 1, Permitted: 2, Effective: 4, Bounding: 1<<64 - 1, Ambient: 16},
				NoNewPrivs:   host.Yes,
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := host.ParseStatus(tt.text)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("ParseStatus(%q): -want +got\n%s", tt.text, diff)
			}
		})
	}
}

func TestParseStatusRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, text, want string }{
		{"an id that is too large", "Uid:\t0\t4294967296\n", `Uid holds "4294967296", which is not an id`},
		{"a group that is no number", "Groups:\t1 a\n", `Groups holds "a", which is not an id`},
		{"a negative id", "Gid:\t-1\t-1\n", `Gid holds "-1", which is not an id`},
		{"an empty set", "CapBnd:\n", `CapBnd is "", which is not a set of capabilities`},
		{"more than 64 capabilities", "CapBnd:\t10000000000000000\n", `CapBnd is "10000000000000000", which is not a set of capabilities`},
		{"privileges that are neither", "NoNewPrivs:\t2\n", `NoNewPrivs is "2", which is not a number from 0 to 1`},
		{"a mode of the future", "Seccomp:\t3\n", `Seccomp is "3", which is not a number from 0 to 2`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			status, err := host.ParseStatus(tt.text)
			if err == nil {
				t.Fatalf("ParseStatus = %+v, want an error", status)
			}
			if want := "cannot parse the status of the process: " + tt.want; err.Error() != want {
				t.Errorf("ParseStatus: error %q, want %q", err, want)
			}
		})
	}
}

// FuzzParseStatus holds what was parsed against a text written from it.
func FuzzParseStatus(f *testing.F) {
	for _, name := range []string{"docker-root", "gvisor", "laptop", "hybrid"} {
		f.Add(string(readHost(f, name)["proc/self/status"].Data))
	}
	f.Add("Uid:\t0\t4294967295\t0\t0\nGid:\t0\t4294967296\nCapBnd:\nSeccomp:\t3\nNoNewPrivs:\t-1\n")
	f.Fuzz(func(t *testing.T, text string) {
		want, err := host.ParseStatus(text)
		if err != nil {
			return
		}
		got, err := host.ParseStatus(writeStatus(want))
		if err != nil {
			t.Fatalf("ParseStatus does not read %q: %v", writeStatus(want), err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("ParseStatus of what it returned: -want +got\n%s", diff)
		}
	})
}

// writeStatus writes a status as the kernel does.
func writeStatus(status host.Status) string {
	var text strings.Builder
	if user := status.User; user != nil {
		fmt.Fprintf(&text, "Uid:\t0\t%d\t0\t0\nGid:\t0\t%d\t0\t0\nGroups:\t", user.UID, user.GID)
		for _, group := range user.Groups {
			fmt.Fprintf(&text, "%d ", group)
		}
		text.WriteString("\n")
	}
	if sets := status.Capabilities; sets != nil {
		fmt.Fprintf(&text, "CapInh:\t%016x\nCapPrm:\t%016x\nCapEff:\t%016x\nCapBnd:\t%016x\nCapAmb:\t%016x\n",
			uint64(sets.Inheritable), uint64(sets.Permitted), uint64(sets.Effective), uint64(sets.Bounding), uint64(sets.Ambient))
	}
	if status.NoNewPrivs != host.Unknown {
		fmt.Fprintf(&text, "NoNewPrivs:\t%d\n", status.NoNewPrivs-host.No)
	}
	if status.Seccomp != host.SeccompUnknown {
		fmt.Fprintf(&text, "Seccomp:\t%d\n", status.Seccomp-host.SeccompDisabled)
	}
	return text.String()
}
