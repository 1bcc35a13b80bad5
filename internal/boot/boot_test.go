package boot_test

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/drengskapur/fastmcp-runner/internal/boot"
	"github.com/drengskapur/fastmcp-runner/internal/config"
	"github.com/drengskapur/fastmcp-runner/internal/host"
	"github.com/drengskapur/fastmcp-runner/internal/ids"
	"github.com/drengskapur/fastmcp-runner/internal/rootfs"
)

// openRoot returns an empty root and its name.
func openRoot(t *testing.T) (*rootfs.Root, string) {
	t.Helper()
	name := t.TempDir()
	root, err := rootfs.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := root.Close(); err != nil {
			t.Error(err)
		}
	})
	return root, name
}

// write makes files, each with its own path as content; a path that ends in a
// slash is a directory.
func write(t *testing.T, top string, paths ...string) {
	t.Helper()
	for _, p := range paths {
		name := filepath.Join(top, p)
		dir := filepath.Dir(name)
		if strings.HasSuffix(p, "/") {
			dir = name
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if dir == name {
			continue
		}
		if err := os.WriteFile(name, []byte(p), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// read returns the content of a file, which may not be a link.
func read(t *testing.T, top, p string) string {
	t.Helper()
	name := filepath.Join(top, p)
	info, err := os.Lstat(name)
	if err != nil {
		t.Fatal(err)
	}
	if !info.Mode().IsRegular() {
		t.Errorf("%s is %s, want a regular file", p, info.Mode())
	}
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func exists(top, p string) bool {
	_, err := os.Lstat(filepath.Join(top, p))
	return err == nil
}

func owner(t *testing.T, top, p string) int {
	t.Helper()
	info, err := os.Lstat(filepath.Join(top, p))
	if err != nil {
		t.Fatal(err)
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		t.Fatalf("%T is no stat", info.Sys())
	}
	return int(stat.Uid)
}

func all(string) bool { return true }

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away and make devices")
	}
}

func TestWholeImage(t *testing.T) {
	t.Parallel()
	wanted := boot.WholeImage([]string{"run/secrets", "etc/ssl/cert.pem", "with space", "data", "data/nested"})
	for _, test := range []struct {
		name, path string
		want       bool
	}{
		{"an ordinary file", "usr/bin/node", true},
		{"a name that begins like a protected one", "etc/hosts.allow", true},
		{"the kernel's directories", "proc/1/root", false},
		{"the kernel's directories themselves", "dev", false},
		{"a name that begins like the kernel's", "system/x", true},
		{"trap 34: the runner itself", ".fastmcp-runner/fastmcp-runner", false},
		{"trap 34: the runner's directory", ".fastmcp-runner", false},
		{"trap 35: a mount point", "run/secrets", false},
		{"trap 35: what lies in it", "run/secrets/kubernetes.io/token", false},
		{"trap 35: a sibling of it", "run/secretsque", true},
		{"trap 35: a directory on the way to it", "run", true},
		{"trap 35: another child of that", "run/lock", true},
		{"trap 35: a file that is mounted", "etc/ssl/cert.pem", false},
		{"trap 35: a mount point with a space", "with space/x", false},
		{"trap 35: a mount in a mount", "data/nested/x", false},
		{"trap 36: /etc/resolv.conf", "etc/resolv.conf", false},
		{"trap 36: /etc/hosts", "etc/hosts", false},
		{"trap 36: /etc/hostname", "etc/hostname", false},
		{"trap 36: the rest of /etc", "etc/passwd", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := wanted(test.path); got != test.want {
				t.Errorf("wanted(%q) = %v, want %v", test.path, got, test.want)
			}
		})
	}
}

func TestWholeUser(t *testing.T) {
	t.Parallel()
	fallback := config.Config{User: ids.User{UID: 1000, GID: 1000}}
	given := config.Config{User: ids.User{UID: 77, GID: 78}, UserGiven: true}
	root, ordinary := boot.Options{MayBecome: true}, boot.Options{Self: ids.User{UID: 1000, GID: 1000}}
	stranger := boot.Options{Self: ids.User{UID: 500, GID: 500}}
	raised := boot.Options{Self: ids.User{UID: 1000, GID: 1000}, MayBecome: true}
	for _, test := range []struct {
		name   string
		cfg    config.Config
		opts   boot.Options
		images ids.User
		want   ids.User
	}{
		{"the image's user, by root", fallback, root, ids.User{UID: 5, GID: 6}, ids.User{UID: 5, GID: 6}},
		{"the image's user, by a runner whose file has the capabilities", fallback, raised, ids.User{UID: 5, GID: 6}, ids.User{UID: 5, GID: 6}},
		{"the image's user, whom we are", fallback, stranger, ids.User{UID: 500, GID: 500}, ids.User{UID: 500, GID: 500}},
		{"the image's user, whom we cannot become", fallback, ordinary, ids.User{UID: 5, GID: 6}, ids.User{UID: 1000, GID: 1000}},
		{"an image that wants root does not get it", fallback, root, ids.User{}, ids.User{UID: 1000, GID: 1000}},
		{"an image that wants root, by somebody who is not", fallback, stranger, ids.User{}, ids.User{UID: 500, GID: 500}},
		{"RUNNER_USER counts more than the image", given, root, ids.User{UID: 5, GID: 6}, ids.User{UID: 77, GID: 78}},
		{"RUNNER_USER, whom we cannot become", given, ordinary, ids.User{UID: 5, GID: 6}, ids.User{UID: 1000, GID: 1000}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := boot.WholeUser(test.images, &test.cfg, test.opts); got != test.want {
				t.Errorf("wholeUser = %v, want %v", got, test.want)
			}
		})
	}
}

// TestWarningsAboutUsers: a word about the user is said once, and only where the
// user is the one that the server will have.
func TestWarningsAboutUsers(t *testing.T) {
	t.Parallel()
	const overruled, refused = "RUNNER_USER is overruled", "but the server runs as"
	root, ordinary := boot.Options{MayBecome: true}, boot.Options{Self: ids.User{UID: 1000, GID: 1000}}
	for _, test := range []struct {
		name, image, given string
		mode               config.Mode
		opts               boot.Options
		log                int // how often overruled is said
		warning            string
	}{
		{name: "a whole image runs as its own user", image: "65532", mode: config.ModeRootfs, opts: root},
		{name: "whose group its files know", image: "65532:app", mode: config.ModeRootfs, opts: root},
		{name: "but not if we cannot become it", image: "65532", mode: config.ModeRootfs, opts: ordinary, warning: "the image's User is 65532, but the server runs as 1000:1000"},
		{name: "or RUNNER_USER is another", image: "65532", given: "77:78", mode: config.ModeRootfs, opts: root, warning: "the image's User is 65532, but the server runs as 77:78"},
		{name: "an allowlist image runs as the default user", image: "65532", mode: config.ModeAllowlist, opts: root, warning: "but the server runs as 1000:1000"},
		{name: "RUNNER_USER is overruled", given: "77:78", mode: config.ModeAllowlist, opts: ordinary, log: 1},
		{name: "in either mode", given: "77:78", mode: config.ModeRootfs, opts: ordinary, log: 1},
		{name: "but not by root", given: "77:78", mode: config.ModeAllowlist, opts: root},
		{name: "nor by whom it names", given: "1000:1000", mode: config.ModeAllowlist, opts: ordinary},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			cfg := config.Config{Root: t.TempDir(), Mode: test.mode, User: ids.User{UID: 1000, GID: 1000}}
			if test.given != "" {
				cfg.UserGiven = true
				var err error
				if cfg.User, err = ids.Parse(test.given); err != nil {
					t.Fatal(err)
				}
			}
			var log bytes.Buffer
			test.opts.Log = slog.New(slog.NewTextHandler(&log, nil))
			plan, err := boot.PlanConfig(strings.NewReader(`{"config":{"Cmd":["x"],"User":"`+test.image+`"}}`), &cfg, test.opts)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Count(log.String(), overruled); got != test.log {
				t.Errorf("the log says %d times that %s, want %d:\n%s", got, overruled, test.log, &log)
			}
			warnings := strings.Join(plan.Warnings, "\n")
			if strings.Contains(warnings, refused) != (test.warning != "") || !strings.Contains(warnings, test.warning) {
				t.Errorf("the warnings are %q, want %q", warnings, test.warning)
			}
		})
	}
}

func TestWantsFakeRoot(t *testing.T) {
	t.Parallel()
	root, user := ids.User{}, ids.User{UID: 1000, GID: 1000}
	for _, test := range []struct {
		name         string
		set          config.Switch
		user, images ids.User
		want         bool
	}{
		{"an image that counts on root and does not get it", config.Auto, user, root, true},
		{"one that gets it", config.Auto, root, root, false},
		{"one that counts on nobody", config.Auto, user, ids.User{UID: 5}, false},
		{"turned off", config.Off, user, root, false},
		{"turned on", config.On, user, user, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			opened, _ := openRoot(t)
			start := boot.NewStart(opened, host.WayChroot, all, config.Config{FakeRoot: test.set}, boot.Options{})
			if got := start.WantsFakeRoot(test.user, test.images); got != test.want {
				t.Errorf("wantsFakeRoot = %v, want %v", got, test.want)
			}
		})
	}
}

func TestStopSignal(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		set   config.Switch
		stdio config.Transport
		way   host.Way
		text  string
		want  unix.Signal
		stays bool
		err   string
		warns bool
	}{
		{name: "trap 57: a parent translates", set: config.On, way: host.WayInPlace, text: "SIGQUIT", want: unix.SIGQUIT, stays: true},
		{name: "a parent without one passes on", set: config.On, way: host.WayInPlace, stays: true},
		{name: "a namespace has a parent", set: config.Auto, way: host.WayNamespace, text: "SIGINT", want: unix.SIGINT, stays: true},
		{name: "which cannot be turned off in silence", set: config.Off, way: host.WayNamespace, text: "SIGINT", want: unix.SIGINT, stays: true, warns: true},
		{name: "a stdio server has the bridge", set: config.Auto, stdio: config.Stdio, way: host.WayInPlace, text: "SIGINT", want: unix.SIGINT, stays: true},
		{name: "which cannot be turned off either", set: config.Off, stdio: config.Stdio, way: host.WayMount, stays: true, warns: true},
		{name: "without a parent nobody reads it", set: config.Auto, way: host.WayMount, text: "SIGNONE"},
		{name: "a parent refuses what is none", set: config.On, way: host.WayMount, text: "SIGNONE", stays: true, err: `the image's StopSignal: cannot parse signal "SIGNONE"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			root, _ := openRoot(t)
			var log bytes.Buffer
			start := boot.NewStart(root, test.way, all, config.Config{Init: test.set, Transport: test.stdio}, boot.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
			got, stays, err := start.StopSignal(test.text)
			if got != test.want || stays != test.stays {
				t.Errorf("the signal is %v and a parent stays: %v, want %v and %v", got, stays, test.want, test.stays)
			}
			if test.err == "" && err != nil || test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)) {
				t.Errorf("the error is %v, want %q", err, test.err)
			}
			if warned := strings.Contains(log.String(), "RUNNER_INIT=off is overruled"); warned != test.warns {
				t.Errorf("it warned: %v, want %v", warned, test.warns)
			}
		})
	}
}
