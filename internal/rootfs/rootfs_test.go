package rootfs_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/drengskapur/fastmcp-runner/internal/rootfs"
)

// build makes a tree below a new directory: "dir/" is a directory, "a -> b" a
// symbolic link, "a = text" a file. It returns the open root of its
// subdirectory "root"; what lies beside that is outside.
func build(t *testing.T, lines ...string) (*rootfs.Root, string) {
	t.Helper()
	top := t.TempDir()
	for _, line := range append([]string{"root/"}, lines...) {
		var err error
		if name, target, ok := strings.Cut(line, " -> "); ok {
			err = os.Symlink(target, filepath.Join(top, name))
		} else if name, content, ok := strings.Cut(line, " = "); ok {
			err = os.WriteFile(filepath.Join(top, name), []byte(content), 0o644)
		} else {
			err = os.MkdirAll(filepath.Join(top, line), 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	root, err := rootfs.Open(filepath.Join(top, "root"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := root.Close(); err != nil {
			t.Error(err)
		}
	})
	return root, top
}

func TestResolve(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		tree   []string
		path   string
		want   string
		exists bool
		err    error
	}{
		{name: "the root itself", path: "/", want: "/", exists: true},
		{name: "a plain file", tree: []string{"root/a/", "root/a/f = x"}, path: "a/f", want: "/a/f", exists: true},
		{name: "a missing file", path: "/a/b/c", want: "/a/b/c"},
		{name: "a missing file below a missing parent of dots", path: "/a/../b", want: "/b"},
		{name: "trap 9: an absolute link clamps at the root", tree: []string{"root/run/", "root/var/", "root/var/run -> /run", "root/run/f = x"}, path: "var/run/f", want: "/run/f", exists: true},
		{name: "trap 9: a relative link", tree: []string{"root/usr/lib/", "root/lib -> usr/lib", "root/usr/lib/f = x"}, path: "/lib/f", want: "/usr/lib/f", exists: true},
		{name: "trap 9: surplus dots clamp at the root", tree: []string{"root/t = in", "t = out", "root/l -> ../../../../t"}, path: "l", want: "/t", exists: true},
		{name: "trap 9: a dangling link leads to what is missing", tree: []string{"root/l -> /gone/x"}, path: "/l/y", want: "/gone/x/y"},
		{name: "the last element is followed", tree: []string{"root/a -> b", "root/b = x"}, path: "/a", want: "/b", exists: true},
		{name: "a file has nothing below it", tree: []string{"root/a = x"}, path: "/a/b", err: syscall.ENOTDIR},
		{name: "trap 9: a link to itself is ELOOP", tree: []string{"root/a -> a"}, path: "/a", err: syscall.ELOOP},
		{name: "dots of a path cannot leave", tree: []string{"secret = x"}, path: "/../../secret", want: "/secret"},
		{name: "dots after a link start at its target", tree: []string{"root/a/b/", "root/l -> a/b", "root/a/f = x"}, path: "/l/../f", want: "/a/f", exists: true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			root, _ := build(t, test.tree...)
			got, err := root.Resolve(test.path)
			if !errors.Is(err, test.err) {
				t.Fatalf("Resolve(%q) = %v, want %v", test.path, err, test.err)
			}
			if got.Path != test.want || got.Exists != test.exists {
				t.Errorf("Resolve(%q) = %q, %t, want %q, %t", test.path, got.Path, got.Exists, test.want, test.exists)
			}
		})
	}
}

func TestResolveFollowsFortyLinksAndNoMore(t *testing.T) {
	t.Parallel()
	lines := []string{"root/l0 = end"}
	for i := range 41 {
		lines = append(lines, "root/l"+strconv.Itoa(i+1)+" -> l"+strconv.Itoa(i))
	}
	root, _ := build(t, lines...)
	if got, err := root.Resolve("/l40"); err != nil || got.Path != "/l0" || len(got.Links) != 40 {
		t.Errorf("Resolve(l40) = %+v, %v, want /l0 by 40 links", got, err)
	}
	if _, err := root.Resolve("/l41"); !errors.Is(err, syscall.ELOOP) {
		t.Errorf("Resolve(l41) = %v, want ELOOP", err)
	}
}

func TestResolveTellsTheLinks(t *testing.T) {
	t.Parallel()
	root, _ := build(t, "root/app/bin/", "root/app/bin/python -> python3", "root/app/bin/python3 -> /usr/bin/python3.12")
	got, err := root.Resolve("/app/bin/python")
	if err != nil {
		t.Fatal(err)
	}
	want := []rootfs.Link{
		{Path: "/app/bin/python", Target: "python3"},
		{Path: "/app/bin/python3", Target: "/usr/bin/python3.12"},
	}
	if diff := cmp.Diff(want, got.Links); diff != "" {
		t.Errorf("Links differ (-want +got):\n%s", diff)
	}
}

func TestReadFile(t *testing.T) {
	t.Parallel()
	root, top := build(t, "root/etc/", "root/etc/passwd = 12345", "outside = secret", "root/escape -> ../outside", "root/dir/")
	if err := syscall.Mkfifo(filepath.Join(top, "root/fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := root.ReadFile("/etc/passwd", 5); err != nil || string(got) != "12345" {
		t.Errorf("ReadFile = %q, %v, want 12345", got, err)
	}
	for name, path := range map[string]string{
		"a file longer than the limit":   "/etc/passwd",
		"a link that leaves the root":    "/escape",
		"trap 54: a fifo does not block": "/fifo",
		"a directory":                    "/dir",
		"a missing file":                 "/nothing",
	} {
		if got, err := root.ReadFile(path, 4); err == nil {
			t.Errorf("%s: ReadFile(%q) = %q, want an error", name, path, got)
		}
	}
}

func TestRemoveAll(t *testing.T) {
	t.Parallel()
	root, top := build(t, "root/a/b/c/", "root/a/b/c/f = x", "root/a/out -> ../../keep", "keep/", "keep/f = x")
	if err := os.Chmod(filepath.Join(top, "root/a/b"), 0o000); err != nil {
		t.Fatal(err)
	}
	if err := root.Dir().RemoveAll("a"); err != nil {
		t.Fatalf("RemoveAll = %v", err)
	}
	if _, err := os.Lstat(filepath.Join(top, "root/a")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the directory is still there: %v", err)
	}
	if _, err := os.Stat(filepath.Join(top, "keep/f")); err != nil {
		t.Errorf("RemoveAll followed a link: %v", err)
	}
	if err := root.Dir().RemoveAll("nothing"); err != nil {
		t.Errorf("RemoveAll of a missing name = %v, want nil", err)
	}
}

// FuzzResolve asserts that no arrangement of links leads outside of the root:
// what Resolve finds is the same inode that the resolved path names below it.
func FuzzResolve(f *testing.F) {
	f.Add("../../..", "/x/../..", "a/b/c")
	f.Add("b", "a", "a")
	f.Add("/", "a/..", "b/../../a/./b")
	f.Fuzz(func(t *testing.T, linkA, linkB, path string) {
		top := t.TempDir()
		inside := filepath.Join(top, "root")
		if err := os.MkdirAll(filepath.Join(inside, "d"), 0o755); err != nil {
			t.Fatal(err)
		}
		for name, target := range map[string]string{"a": linkA, "d/b": linkB} {
			if os.Symlink(target, filepath.Join(inside, name)) != nil {
				t.Skip("not a link target")
			}
		}
		root, err := rootfs.Open(inside)
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close()
		got, err := root.Resolve(path)
		if err != nil || !got.Exists {
			return
		}
		want, err := os.Lstat(filepath.Join(inside, got.Path))
		if err != nil {
			t.Fatalf("Resolve(%q) found %q, which is not below the root: %v", path, got.Path, err)
		}
		stat, ok := want.Sys().(*syscall.Stat_t)
		if !ok || stat.Ino != got.Info.Inode() {
			t.Fatalf("Resolve(%q) found another inode than %q below the root", path, got.Path)
		}
	})
}
