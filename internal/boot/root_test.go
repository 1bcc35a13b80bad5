package boot_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/drengskapur/fastmcp-runner/internal/boot"
	"github.com/drengskapur/fastmcp-runner/internal/config"
	"github.com/drengskapur/fastmcp-runner/internal/host"
	"github.com/drengskapur/fastmcp-runner/internal/ids"
	"github.com/drengskapur/fastmcp-runner/internal/launch"
	"github.com/drengskapur/fastmcp-runner/internal/receipt"
	"github.com/drengskapur/fastmcp-runner/internal/rootfs"
)

func TestFurnishCopiesTheHostsNetworkFiles(t *testing.T) {
	t.Parallel()
	root, top := openRoot(t)
	write(t, top, "etc/hostname", "etc/kept", "victim")
	if err := os.Symlink("../victim", filepath.Join(top, "etc/hosts")); err != nil {
		t.Fatal(err)
	}
	if err := boot.NewStart(root, host.WayMount, all, config.Config{}, boot.Options{}).Furnish(); err != nil {
		t.Fatal(err)
	}
	for _, p := range boot.HostFiles() {
		want, err := os.ReadFile("/" + p)
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if got := read(t, top, p); got != string(want) {
			t.Errorf("trap 36: /%s is %q, want the host's", p, got)
		}
	}
	if read(t, top, "victim") != "victim" || read(t, top, "etc/kept") != "etc/kept" {
		t.Error("furnish wrote through a link of the image, or to another file")
	}
	if exists(top, "dev") {
		t.Error("it made devices where they come by a mount")
	}
}

func TestFurnishLeavesTheContainersOwnRootAlone(t *testing.T) {
	t.Parallel()
	root, top := openRoot(t)
	if err := boot.NewStart(root, host.WayInPlace, all, config.Config{}, boot.Options{}).Furnish(); err != nil {
		t.Fatal(err)
	}
	if exists(top, "etc") {
		t.Error("it made /etc")
	}
}

func TestFurnishDoesNotFollowTheImagesDirectories(t *testing.T) {
	t.Parallel()
	root, top := openRoot(t)
	outside := t.TempDir()
	if err := os.Symlink(outside, filepath.Join(top, "etc")); err != nil {
		t.Fatal(err)
	}
	err := boot.NewStart(root, host.WayMount, all, config.Config{}, boot.Options{}).Furnish()
	if err == nil || !strings.Contains(err.Error(), "cannot copy the host's network files into the root") {
		t.Errorf("furnish = %v", err)
	}
	if names, err := os.ReadDir(outside); err != nil || len(names) > 0 {
		t.Errorf("it wrote %v outside of the root: %v", names, err)
	}
}

func TestFurnishMakesDevicesForChroot(t *testing.T) {
	t.Parallel()
	needRoot(t)
	root, top := openRoot(t)
	start := boot.NewStart(root, host.WayChroot, all, config.Config{}, boot.Options{})
	for range 2 { // once more, as a restart does
		if err := start.Furnish(); err != nil {
			t.Fatal(err)
		}
	}
	for name, minor := range map[string]uint32{"null": 3, "zero": 5, "full": 7, "random": 8, "urandom": 9} {
		var stat unix.Stat_t
		if err := unix.Lstat(filepath.Join(top, "dev", name), &stat); err != nil {
			t.Skipf("the host makes no devices: %v", err)
		}
		if stat.Mode != unix.S_IFCHR|0o666 || stat.Rdev != unix.Mkdev(1, minor) {
			t.Errorf("/dev/%s has the mode %o and the number %d", name, stat.Mode, stat.Rdev)
		}
	}
}

func TestHandOverGivesTheServersDirectories(t *testing.T) {
	t.Parallel()
	needRoot(t)
	server := ids.User{UID: 1000, GID: 1000}
	for _, test := range []struct {
		name   string
		plan   launch.Plan
		images ids.User
		given  []string
		kept   []string
	}{
		{
			name:  "directory and home, with what lies in them",
			plan:  launch.Plan{User: server, Dir: "/srv/app", Env: []string{"HOME=/root"}},
			given: []string{"app/f", "data/f", "srv/app/f", "root/f"},
			kept:  []string{"srv", "etc/f", "usr/bin/f"},
		},
		{
			name:  "the system's directories stay root's",
			plan:  launch.Plan{User: server, Dir: "/usr", Env: []string{"HOME=/"}},
			given: []string{"app/f"},
			kept:  []string{"usr/bin/f", "etc/f", "srv/app/f"},
		},
		{
			name:  "a link leads to what is given, and no further than the root",
			plan:  launch.Plan{User: server, Dir: "/link", Env: []string{"HOME=/none"}},
			given: []string{"srv/app/f"},
			kept:  []string{"srv", "root/f"},
		},
		{
			name:   "nothing to an image that counted on that user",
			plan:   launch.Plan{User: server, Dir: "/srv/app", Env: []string{"HOME=/root"}},
			images: server,
			kept:   []string{"app/f", "srv/app/f", "root/f"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			root, top := openRoot(t)
			write(t, top, "app/f", "data/f", "srv/app/f", "root/f", "etc/f", "usr/bin/f")
			if err := os.Symlink("/srv/app", filepath.Join(top, "link")); err != nil {
				t.Fatal(err)
			}
			start := boot.NewStart(root, host.WayChroot, all, config.Config{}, boot.Options{MayChown: true})
			if err := start.HandOver(test.plan, test.images); err != nil {
				t.Fatal(err)
			}
			for _, p := range test.given {
				if got := owner(t, top, p); got != 1000 {
					t.Errorf("/%s belongs to %d, want it given to 1000", p, got)
				}
			}
			for _, p := range test.kept {
				if got := owner(t, top, p); got != 0 {
					t.Errorf("/%s belongs to %d, want it kept", p, got)
				}
			}
		})
	}
}

func TestMakeWorkingDir(t *testing.T) {
	t.Parallel()
	root, top := openRoot(t)
	write(t, top, "file", "srv/")
	if err := os.Symlink("/srv", filepath.Join(top, "link")); err != nil {
		t.Fatal(err)
	}
	start := boot.NewStart(root, host.WayChroot, all, config.Config{}, boot.Options{})
	for dir, want := range map[string]string{
		"/made/deep": "/made/deep", "/link/below": "/srv/below", "/link": "/srv", "/": "/",
	} {
		plan, err := start.MakeWorkingDir(launch.Plan{Dir: dir})
		if err != nil || plan.Dir != want {
			t.Errorf("trap 52: the working directory %q becomes %q, %v, want %q", dir, plan.Dir, err, want)
		}
		if !exists(top, want) {
			t.Errorf("trap 52: %s was not made", want)
		}
	}
	for _, dir := range []string{"/file", "/file/below"} {
		if _, err := start.MakeWorkingDir(launch.Plan{Dir: dir}); err == nil || !strings.Contains(err.Error(), "cannot use the working directory") {
			t.Errorf("for %q the error is %v", dir, err)
		}
	}
}

// lay lays files as an extraction does, with a receipt.
func lay(t *testing.T, root *rootfs.Root, top string, key receipt.Key, finish bool, paths ...string) {
	t.Helper()
	w, err := receipt.Begin(root, key)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range paths {
		w.Laid(p)
	}
	write(t, top, paths...)
	if finish {
		if err := w.Finish(); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestMakeRoom(t *testing.T) {
	t.Parallel()
	a, b := receipt.Key{Digest: "sha256:a"}, receipt.Key{Digest: "sha256:b"}
	selection := func(p string) bool { return !strings.HasPrefix(p, "etc/") }
	laid := []string{"app/f", "data/f", "etc/f"}
	for _, test := range []struct {
		name     string
		finished bool
		key      receipt.Key
		found    bool
		left     []string
	}{
		{"trap 39: the same image is found", true, a, true, laid},
		{"trap 39: another image's files go, but not the data, and not what is not selected", true, b, false, laid[1:]},
		{"trap 39: the same image that was cut off goes too", false, a, false, laid[1:]},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			root, top := openRoot(t)
			start := boot.NewStart(root, host.WayInPlace, selection, config.Config{}, boot.Options{})
			if found, err := start.MakeRoom(a); found || err != nil {
				t.Fatalf("in an empty root makeRoom = %v, %v", found, err)
			}
			lay(t, root, top, a, test.finished, laid...)
			found, err := start.MakeRoom(test.key)
			if found != test.found || err != nil {
				t.Errorf("makeRoom = %v, %v, want %v", found, err, test.found)
			}
			left := slices.DeleteFunc(slices.Clone(laid), func(p string) bool { return !exists(top, p) })
			if !slices.Equal(left, test.left) {
				t.Errorf("what is left is %v, want %v", left, test.left)
			}
			if test.found {
				return
			}
			if r, err := receipt.Read(root); err != nil || r.Complete {
				t.Errorf("the receipt vouches for what was removed: %+v, %v", r, err)
			}
		})
	}
}
