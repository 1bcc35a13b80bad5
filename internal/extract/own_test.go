package extract_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/drengskapur/fastmcp-runner/internal/extract"
	"github.com/drengskapur/fastmcp-runner/internal/hint"
	"github.com/drengskapur/fastmcp-runner/internal/ids"
	"github.com/drengskapur/fastmcp-runner/internal/rootfs"
)

func openRoot(tb testing.TB) *rootfs.Root {
	tb.Helper()
	root, err := rootfs.Open(tb.TempDir())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := root.Close(); err != nil {
			tb.Error(err)
		}
	})
	return root
}

func needRoot(tb testing.TB) {
	tb.Helper()
	if os.Geteuid() != 0 {
		tb.Skip("needs root, to change owners")
	}
}

func stat(tb testing.TB, name string) *syscall.Stat_t {
	tb.Helper()
	info, err := os.Lstat(name)
	if err != nil {
		tb.Fatal(err)
	}
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		tb.Fatalf("no stat of %s", name)
	}
	return s
}

func TestOwners(t *testing.T) {
	t.Parallel()
	needRoot(t)
	opts := options()
	opts.Owned, opts.Owner = []string{"app", "data"}, ids.User{UID: 1000, GID: 1000}
	root, report, err := run(t, []string{"app/", "app/host = h", "data/", "data/mine = m", "etc/", "etc/shadow = s"}, image(t, []entry{
		dir("opt").owner(7), file("opt/f", "1").owner(7), symlink("opt/l", "f").owner(7), file("opt/suid", "1").owner(0).mode(0o4755),
		dir("app").owner(0), file("app/f", "1").owner(7), file("app/suid", "1").owner(0).mode(0o6755), symlink("app/l", "/etc/shadow").owner(7),
		file("opt/big", "1").owner(1<<21 - 1), file("app/new/f", "1"),
		file("opt/tool", "1").owner(7), hardlink("app/new/tool", "opt/tool"),
	}), opts)
	if err != nil {
		t.Fatal(err)
	}
	if report.Owners != 0 {
		t.Errorf("%d owners were not set, want 0", report.Owners)
	}
	for name, want := range map[string]struct{ uid, mode uint32 }{
		"opt": {7, 0o40755}, "opt/f": {7, 0o100644}, "opt/l": {7, 0o120777}, "opt/suid": {0, 0o104755}, "opt/big": {1<<21 - 1, 0o100644},
		"app": {1000, 0o40755}, "app/f": {1000, 0o100644}, "app/l": {1000, 0o120777}, "app/host": {1000, 0o100644},
		"app/suid": {1000, 0o100755}, // trap 20: root's setuid must not become the user's
		"app/new":  {1000, 0o40755}, "app/new/f": {1000, 0o100644}, "app/new/tool": {1000, 0o100644}, "data": {1000, 0o40755}, "data/mine": {1000, 0o100644},
		"etc/shadow": {0, 0o100644},
	} {
		if got := stat(t, filepath.Join(root, name)); got.Uid != want.uid || got.Mode != want.mode {
			t.Errorf("%s is of uid %d and mode %o, want %d and %o", name, got.Uid, got.Mode, want.uid, want.mode)
		}
	}
}

func TestHandOverSparesForeignNames(t *testing.T) {
	t.Parallel()
	needRoot(t)
	name := t.TempDir()
	populate(t, name, []string{"etc/", "etc/shadow = s", "data/"})
	if err := os.Link(filepath.Join(name, "etc/shadow"), filepath.Join(name, "data/trick")); err != nil {
		t.Fatal(err)
	}
	root, err := rootfs.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	opts := options()
	opts.Keep, opts.Owned, opts.Owner = isData, []string{"data"}, ids.User{UID: 1000, GID: 1000}
	if _, err := extract.Extract(t.Context(), root, nil, opts); err != nil {
		t.Fatal(err)
	}
	if got := stat(t, filepath.Join(name, "etc/shadow")); got.Uid != 0 {
		t.Errorf("trap 21: a file with a name outside was given to uid %d", got.Uid)
	}
	if got := stat(t, filepath.Join(name, "data")); got.Uid != 1000 {
		t.Errorf("/data belongs to uid %d, want 1000", got.Uid)
	}
}

func TestXattrs(t *testing.T) {
	t.Parallel()
	needRoot(t)
	root, _, err := run(t, nil, image(t, []entry{
		file("f", "1").xattr("user.note", "kept"),
		file("g", "1").xattr("trusted.overlay.opaque", "y"),
	}), options())
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 64)
	if n, err := unix.Lgetxattr(filepath.Join(root, "f"), "user.note", buf); err != nil || string(buf[:n]) != "kept" {
		t.Errorf("trap 24: user.note = %q, %v, want kept", buf[:max(n, 0)], err)
	}
	if _, err := unix.Lgetxattr(filepath.Join(root, "g"), "trusted.overlay.opaque", buf); !errors.Is(err, unix.ENODATA) {
		t.Errorf("trap 24: trusted.overlay.opaque: %v, want none", err)
	}
}

// TestAsUser runs the tests below as uid 1000 in a child of this process,
// because a thread cannot give up being root for itself alone in Go.
func TestAsUser(t *testing.T) {
	t.Parallel()
	if os.Geteuid() == 0 {
		runAsUser(t)
		return
	}
	testUnwritable(t)
	testUnwritableRoot(t)
	testLinksOfAnUnwritableRoot(t)
	testUserOwners(t)
}

// testLinksOfAnUnwritableRoot extracts an image that has other links in the
// root than the host, which nobody may replace.
func testLinksOfAnUnwritableRoot(t *testing.T) {
	t.Helper()
	name := t.TempDir()
	populate(t, name, []string{"usr/bin/", "usr/sbin/", "sbin -> usr/sbin"})
	if err := os.Chmod(name, 0o555); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(name, 0o755) }) // for TempDir to remove it
	root, err := rootfs.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	opts := options()
	opts.Links = []string{"sbin"}
	_, err = extract.Extract(t.Context(), root, image(t, []entry{symlink("sbin", "usr/bin"), file("sbin/init", "1")}), opts)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"sbin": "symlink usr/sbin", "usr": "dir 0755", "usr/sbin": "symlink /usr/bin", "usr/bin": "dir 0755", "usr/bin/init": "file 0644 1",
	}
	if diff := cmp.Diff(want, dump(t, name)); diff != "" {
		t.Errorf("the tree differs (-want +got):\n%s", diff)
	}
}

func testUnwritable(t *testing.T) {
	t.Helper()
	name := t.TempDir()
	populate(t, name, []string{"app/", "opt/", "srv/sub/"})
	for _, sub := range []string{"opt", "srv/sub"} {
		if err := os.Chmod(filepath.Join(name, sub), 0o555); err != nil {
			t.Fatal(err)
		}
	}
	root, err := rootfs.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	_, err = extract.Extract(t.Context(), root, image(t, []entry{
		file("app/f", "1"), file("opt/a/b/c", "1"), file("opt/d", "1"), file("srv/sub/x/y", "1"),
	}), options())
	var refused *extract.WriteError
	if !errors.As(err, &refused) {
		t.Fatalf("Extract = %v, want a WriteError", err)
	}
	if got, want := strings.Join(refused.Dirs, " "), "/opt /srv/sub"; got != want {
		t.Errorf("the error names %q, want %q", got, want)
	}
	who := fmt.Sprintf("%d:%d", os.Geteuid(), os.Getegid())
	if text := hint.Of(err); !strings.Contains(text, "RUN mkdir -p /opt /srv/sub && chown "+who+" /opt /srv/sub") {
		t.Errorf("the hint does not say what to do: %q", text)
	}
}

// testUnwritableRoot extracts into a root in which nothing can be made.
func testUnwritableRoot(t *testing.T) {
	t.Helper()
	name := t.TempDir()
	if err := os.Chmod(name, 0o555); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		layer             []entry
		dirs, files, hint string
		text              string
	}{
		{[]entry{file("app/sub/f", "1"), dir("srv")}, "/app /srv", "", "mkdir -p /app /srv && chown", "cannot write in /app, /srv as uid"},
		{[]entry{file("app/f", "1"), file("file", "1")}, "/app", "/file", "start the container as root", "cannot write in /app, nor make /file as uid"},
		{[]entry{file("odd/f", "1"), hardlink("odd/again", "odd/f")}, "/odd", "", "mkdir -p /odd && chown", "cannot write in /odd as uid"},
		{[]entry{file("file", "1"), symlink("link", "app")}, "", "/file /link", "start the container as root", "cannot make /file, /link as uid"},
	} {
		root, err := rootfs.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		_, err = extract.Extract(t.Context(), root, image(t, test.layer), options())
		refused, ok := errors.AsType[*extract.WriteError](errors.Join(err, root.Close()))
		if !ok {
			t.Fatalf("Extract = %v, want a WriteError", err)
		}
		if got := strings.Join(refused.Dirs, " "); got != test.dirs {
			t.Errorf("the error names %q, want %q", got, test.dirs)
		}
		if got := strings.Join(refused.Files, " "); got != test.files {
			t.Errorf("the error names the files %q, want %q", got, test.files)
		}
		if !strings.HasPrefix(refused.Error(), test.text) {
			t.Errorf("the error says %q, want %q in front", refused, test.text)
		}
		if text := hint.Of(err); !strings.Contains(text, test.hint) || strings.Contains(text, " / ") || strings.HasSuffix(text, " /") {
			t.Errorf("for %v the hint is %q, want %q in it and not the root", refused.Dirs, text, test.hint)
		}
	}
}

func TestHintsOfWriteErrors(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		uid  uint32
		err  error
		want string
	}{
		{"root without its capabilities is not told to be root", 0, unix.EACCES, "root is without the capabilities for this: give the container DAC_OVERRIDE"},
		{"trap 37: a read-only root is named as the cause", 1000, unix.EROFS, "the container's root is read-only"},
		{"trap 37: a mount is named as the cause", 0, unix.EBUSY, "something is mounted in the place"},
		{"a user is told how to own the directories", 77, unix.EACCES, "start the container as root, or make the directories writable in a Dockerfile: RUN mkdir -p /srv && chown 77:88 /srv"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			refused := extract.WriteError{Dirs: []string{"/srv"}, User: ids.User{UID: test.uid, GID: 88}, Err: test.err}
			if got := refused.Hint(); !strings.HasPrefix(got, test.want) {
				t.Errorf("the hint is %q, want %q", got, test.want)
			}
		})
	}
}

func testUserOwners(t *testing.T) {
	t.Helper()
	root, report, err := run(t, nil, image(t,
		[]entry{
			dir("d").mode(0o555).owner(0), file("d/f", "1").owner(0).mode(0o4755), dir("locked").mode(0), file("locked/f", "1").mode(0),
			file("mine", "1").owner(os.Geteuid()).mode(0o4755),
		},
		[]entry{file("d/g", "2").owner(0), file(".wh.locked", "")},
	), options())
	if err != nil {
		t.Fatalf("trap 21: Extract as a user = %v", err)
	}
	want := map[string]string{"d": "dir 0555", "d/f": "file 0755 1", "d/g": "file 0644 2"}
	got := dump(t, root)
	delete(got, "mine")
	for name, line := range want {
		if got[name] != line {
			t.Errorf("%s is %q, want %q", name, got[name], line)
		}
	}
	if _, ok := got["locked"]; ok {
		t.Error("trap 22: a directory of mode 0000 was not removed")
	}
	if report.Owners != 4 { // of d, d/f, locked/f and d/g
		t.Errorf("%d owners could not be set, want 4", report.Owners)
	}
	if err := os.Chmod(filepath.Join(root, "d"), 0o755); err != nil {
		t.Fatal(err)
	}
}

func TestHardLinksAcrossAMountAreCopies(t *testing.T) {
	t.Parallel()
	needRoot(t)
	name := t.TempDir()
	mounted := filepath.Join(name, "mnt")
	if err := os.Mkdir(mounted, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", mounted, "tmpfs", 0, ""); err != nil {
		t.Fatalf("cannot mount a tmpfs: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(mounted, 0); err != nil {
			t.Error(err)
		}
	})
	root, err := rootfs.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	_, err = extract.Extract(t.Context(), root, image(t, []entry{
		file("a", "content").mode(0o640).owner(7).time(epoch), symlink("s", "a"),
		hardlink("mnt/a", "a"), hardlink("mnt/s", "s"),
	}), options())
	if err != nil {
		t.Fatal(err)
	}
	tree := dump(t, name)
	if tree["mnt/a"] != "file 0640 content" || tree["mnt/s"] != "symlink a" {
		t.Errorf("trap 16: the copies are %q and %q, want the content and the link", tree["mnt/a"], tree["mnt/s"])
	}
	if got := stat(t, filepath.Join(mounted, "a")); got.Uid != 7 || got.Mtim.Sec != epoch.Unix() {
		t.Errorf("trap 16: the copy is of uid %d and time %d, want 7 and %d", got.Uid, got.Mtim.Sec, epoch.Unix())
	}
	if err := root.Dir().RemoveAll("mnt"); !errors.Is(err, unix.EBUSY) {
		t.Errorf("RemoveAll of a mount point = %v, want EBUSY", err)
	}
}
