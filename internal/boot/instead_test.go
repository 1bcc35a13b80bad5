package boot_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/drengskapur/fastmcp-runner/internal/boot"
	"github.com/drengskapur/fastmcp-runner/internal/config"
	"github.com/drengskapur/fastmcp-runner/internal/hint"
	"github.com/drengskapur/fastmcp-runner/internal/host"
)

// situations are all that differ in what decides about a hint.
func situations() (all []boot.Situation) {
	no, yes := host.Answer{Verdict: host.No, Cause: "EPERM"}, host.Answer{Verdict: host.Yes}
	rights := []host.Facts{
		{Mounting: no, UserNamespaces: no, Chroot: no},                                         // UID 1000 under Docker's profile
		{Mounting: no, UserNamespaces: no, Chroot: no, Kernel: host.Kernel{GVisor: host.Yes}},  // the same on gVisor
		{Mounting: no, UserNamespaces: yes, Chroot: no},                                        // UID 1000 with user namespaces
		{Mounting: no, UserNamespaces: no, Chroot: yes},                                        // root
		{Mounting: yes, UserNamespaces: yes, Chroot: yes},                                      // root with CAP_SYS_ADMIN
		{Mounting: no, UserNamespaces: no, Chroot: yes, Kernel: host.Kernel{GVisor: host.Yes}}, // root on gVisor
	}
	for _, facts := range rights {
		for bits := range 1 << 5 {
			has := func(bit int) bool { return bits>>bit&1 == 1 }
			s := boot.Situation{Facts: facts, Mode: config.ModeAllowlist, Alone: has(0), OtherRoot: has(1), Python: has(2) && !has(0)}
			s.Facts.Root = host.Directory{FileSystem: &host.FileSystem{ReadOnly: has(3)}}
			if has(4) {
				s.Mode = config.ModeRootfs
			}
			all = append(all, s)
		}
	}
	return all
}

// follow does what a hint says.
func follow(s boot.Situation, hint string) boot.Situation {
	for text, change := range map[string]func(){
		"RUNNER_MODE=rootfs":                             func() { s.Mode = config.ModeRootfs },
		"RUNNER_MODE=allowlist":                          func() { s.Mode = config.ModeAllowlist },
		"RUNNER_ROOT unset":                              func() { s.OtherRoot = false },
		"a writable root":                                func() { s.Facts.Root.FileSystem = &host.FileSystem{} },
		"FROM ghcr.io/drengskapur/fastmcp-runner:rootfs": func() { s.Alone, s.Python, s.Mode = true, false, config.ModeRootfs },
		"FROM ghcr.io/drengskapur/fastmcp-runner:latest": func() { s.Alone, s.Python, s.Mode = false, true, config.ModeAllowlist },
	} {
		if strings.Contains(hint, text) {
			change()
		}
	}
	return s
}

func describe(s boot.Situation) string {
	return fmt.Sprintf("%s in an own root %v, RUNNER_ROOT %v, Python %v, read-only %v, way %v",
		s.Mode, s.Alone, s.OtherRoot, s.Python, s.Facts.Root.FileSystem.ReadOnly, s.Way())
}

func TestHintsDoNotGoInACircle(t *testing.T) {
	t.Parallel()
	for _, s := range situations() {
		proposed := s.Instead()
		next := follow(s, proposed)
		switch {
		case next.Mode == s.Mode:
			t.Errorf("%s: %q leaves the mode as it is", describe(s), proposed)
		case next.Mode == config.ModeRootfs && next.Way() == host.WayNone:
			t.Errorf("%s: %q leads to: %v", describe(s), proposed, next.Refusal())
		case next.Mode == config.ModeAllowlist && !next.Python:
			t.Errorf("%s: %q leads to a container without Python", describe(s), proposed)
		}
		if s.Mode != config.ModeRootfs || s.Way() != host.WayNone {
			continue
		}
		proposed = hint.Of(s.Refusal())
		if next = follow(s, proposed); next.Mode != config.ModeRootfs || next.Way() == host.WayNone {
			t.Errorf("%s: %q leads to: %v", describe(s), proposed, next.Refusal())
		}
	}
}

func TestInsteadNamesTheLineToWrite(t *testing.T) {
	t.Parallel()
	const dockerfile = " in this container's Dockerfile (for docker run, by that image)"
	refused, chroot := host.Facts{}, host.Facts{Chroot: host.Answer{Verdict: host.Yes}}
	readOnly := host.Facts{Root: host.Directory{FileSystem: &host.FileSystem{ReadOnly: true}}}
	for _, test := range []struct {
		name string
		in   boot.Situation
		want string
	}{
		{"the usual image, as root", boot.Situation{Facts: chroot}, "RUNNER_MODE=rootfs"},
		{"the usual image, as a user", boot.Situation{Facts: refused}, "the line FROM ghcr.io/drengskapur/fastmcp-runner:rootfs" + dockerfile},
		{
			"with RUNNER_ROOT, on a read-only root",
			boot.Situation{Facts: readOnly, OtherRoot: true},
			"the line FROM ghcr.io/drengskapur/fastmcp-runner:rootfs" + dockerfile + " with RUNNER_ROOT unset and a writable root",
		},
		{"the rootfs image, as a user", boot.Situation{Facts: refused, Alone: true}, "RUNNER_MODE=rootfs"},
		{
			"whole already, and our Python is wanted",
			boot.Situation{Facts: refused, Alone: true, Mode: config.ModeRootfs},
			"the line FROM ghcr.io/drengskapur/fastmcp-runner:latest" + dockerfile + " with RUNNER_MODE unset",
		},
		{"the same where this container has one", boot.Situation{Facts: chroot, Python: true, Mode: config.ModeRootfs}, "RUNNER_MODE=allowlist"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := test.in.Instead(); got != test.want {
				t.Errorf("the hint is %q, want %q", got, test.want)
			}
		})
	}
}
