package host_test

import (
	"encoding/json"
	"testing"

	"github.com/drengskapur/fastmcp-runner/internal/host"
)

// TestWay goes through the hosts that the runner must work on. The answers are
// those of the hosts whose texts lie in testdata/hosts.
func TestWay(t *testing.T) {
	t.Parallel()
	yes, eperm := host.Answer{Verdict: host.Yes}, host.Answer{Verdict: host.No, Cause: "EPERM"}
	writable, readOnly := &host.FileSystem{}, &host.FileSystem{ReadOnly: true}
	for _, tt := range []struct {
		name                       string
		place                      host.Place
		root                       *host.FileSystem
		mounting, userNS, chrooted host.Answer
		want                       host.Choice
	}{
		{
			name: "root with Docker's default profile, alone", place: host.Alone,
			root: writable, mounting: eperm, userNS: eperm, chrooted: yes,
			want: host.Choice{Way: host.WayInPlace, Reason: "the runner is alone in its root"},
		},
		{
			name: "root with Docker's default profile",
			root: writable, mounting: eperm, userNS: eperm, chrooted: yes,
			want: host.Choice{
				Way:    host.WayChroot,
				Reason: "the runner is not alone in its root, mounting is refused (EPERM), user namespaces are refused (EPERM), chroot is allowed; /proc, /dev and /sys will be missing",
			},
		},
		{
			name: "root with CAP_SYS_ADMIN",
			root: writable, mounting: yes, userNS: yes, chrooted: yes,
			want: host.Choice{Way: host.WayMount, Reason: "the runner is not alone in its root, mounting is allowed"},
		},
		{
			name: "root with CAP_SYS_ADMIN, but AppArmor forbids mounts",
			root: writable, mounting: host.Answer{Verdict: host.No, Cause: "EACCES"}, userNS: host.Answer{Verdict: host.No, Cause: "EACCES"}, chrooted: yes,
			want: host.Choice{
				Way:    host.WayChroot,
				Reason: "the runner is not alone in its root, mounting is refused (EACCES), user namespaces are refused (EACCES), chroot is allowed; /proc, /dev and /sys will be missing",
			},
		},
		{
			name: "user 1000, alone", place: host.Alone,
			root: writable, mounting: eperm, userNS: eperm, chrooted: eperm,
			want: host.Choice{Way: host.WayInPlace, Reason: "the runner is alone in its root"},
		},
		{
			name: "user 1000 without a capability and with no_new_privs, alone and with nothing tried", place: host.Alone,
			want: host.Choice{Way: host.WayInPlace, Reason: "the runner is alone in its root"},
		},
		{
			name: "user 1000",
			root: writable, mounting: eperm, userNS: eperm, chrooted: eperm,
			want: host.Choice{
				Way:    host.WayNone,
				Reason: "the runner is not alone in its root, mounting is refused (EPERM), user namespaces are refused (EPERM), chroot is refused (EPERM)",
			},
		},
		{
			name: "user 1000 with seccomp unconfined",
			root: writable, mounting: eperm, userNS: yes, chrooted: eperm,
			want: host.Choice{Way: host.WayNamespace, Reason: "the runner is not alone in its root, mounting is refused (EPERM), user namespaces are allowed"},
		},
		{
			name: "a read-only root with a tmpfs, alone, as root", place: host.Alone,
			root: readOnly, mounting: eperm, userNS: eperm, chrooted: yes,
			want: host.Choice{
				Way:    host.WayChroot,
				Reason: "the root is read-only, mounting is refused (EPERM), user namespaces are refused (EPERM), chroot is allowed; /proc, /dev and /sys will be missing",
			},
		},
		{
			name: "trap 37: a read-only root, alone, as user 1000", place: host.Alone,
			root: readOnly, mounting: eperm, userNS: eperm, chrooted: eperm,
			want: host.Choice{
				Way:    host.WayNone,
				Reason: "the root is read-only, mounting is refused (EPERM), user namespaces are refused (EPERM), chroot is refused (EPERM)",
			},
		},
		{
			name: "a laptop",
			root: writable, mounting: eperm, userNS: yes, chrooted: eperm,
			want: host.Choice{Way: host.WayNamespace, Reason: "the runner is not alone in its root, mounting is refused (EPERM), user namespaces are allowed"},
		},
		{
			name: "a laptop without user namespaces",
			root: writable, mounting: eperm, userNS: host.Answer{Verdict: host.No, Cause: "ENOSPC"}, chrooted: eperm,
			want: host.Choice{
				Way:    host.WayNone,
				Reason: "the runner is not alone in its root, mounting is refused (EPERM), user namespaces are refused (ENOSPC), chroot is refused (EPERM)",
			},
		},
		{
			name: "nothing was tried",
			root: writable, mounting: host.Answer{Cause: "not tried"}, userNS: host.Answer{Cause: "not tried"}, chrooted: host.Answer{Cause: "not tried"},
			want: host.Choice{
				Way:    host.WayNone,
				Reason: "the runner is not alone in its root, mounting is untested (not tried), user namespaces are untested (not tried), chroot is untested (not tried)",
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			facts := host.Facts{Mounting: tt.mounting, UserNamespaces: tt.userNS, Chroot: tt.chrooted}
			facts.Root.FileSystem = tt.root
			if got := facts.Way(tt.place); got != tt.want {
				t.Errorf("Way(%v) = %+v, want %+v", tt.place, got, tt.want)
			}
		})
	}
}

func TestWayAsJSON(t *testing.T) {
	t.Parallel()
	for way, want := range map[host.Way]string{
		host.WayNone:      `{"way":"none","reason":"r"}`,
		host.WayInPlace:   `{"way":"in-place","reason":"r"}`,
		host.WayMount:     `{"way":"mount","reason":"r"}`,
		host.WayNamespace: `{"way":"namespace","reason":"r"}`,
		host.WayChroot:    `{"way":"chroot","reason":"r"}`,
	} {
		choice := host.Choice{Way: way, Reason: "r"}
		text, err := json.Marshal(choice)
		if err != nil || string(text) != want {
			t.Errorf("Marshal(%+v) = %s, %v, want %s", choice, text, err, want)
		}
		var again host.Choice
		if err := json.Unmarshal(text, &again); err != nil || again != choice {
			t.Errorf("Unmarshal(%s) = %+v, %v, want %+v", text, again, err, choice)
		}
	}
}
