package receipt_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/drengskapur/fastmcp-runner/internal/receipt"
	"github.com/drengskapur/fastmcp-runner/internal/rootfs"
)

func open(tb testing.TB) (*rootfs.Root, string) {
	tb.Helper()
	name := tb.TempDir()
	root, err := rootfs.Open(name)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := root.Close(); err != nil {
			tb.Error(err)
		}
	})
	return root, name
}

func self() uint32 { return uint32(os.Geteuid()) }

func write(tb testing.TB, root *rootfs.Root, key receipt.Key, finish bool, paths ...string) {
	tb.Helper()
	w, err := receipt.Begin(root, key)
	if err != nil {
		tb.Fatal(err)
	}
	for _, p := range paths {
		w.Laid(p)
	}
	if finish {
		if err := w.Finish(); err != nil {
			tb.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
}

func read(tb testing.TB, root *rootfs.Root) receipt.Receipt {
	tb.Helper()
	r, err := receipt.Read(root)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

func TestReceipt(t *testing.T) {
	t.Parallel()
	root, _ := open(t)
	if got := read(t, root); got.Complete || got.Paths != nil {
		t.Fatalf("a fresh root has the receipt %+v", got)
	}
	a, b := receipt.Key{Digest: "sha256:a", Platform: "linux/amd64", Rules: "r"}, receipt.Key{Digest: "sha256:b"}
	write(t, root, a, true, "app", "app/with\nnewline", "app/x")
	want := receipt.Receipt{Key: a, Complete: true, Author: self(), Paths: []string{"app", "app/with\nnewline", "app/x"}}
	if diff := cmp.Diff(want, read(t, root)); diff != "" {
		t.Errorf("trap 39: the receipt of a finished extraction differs:\n%s", diff)
	}
	write(t, root, b, false, "app/y")
	want = receipt.Receipt{Key: b, Author: self(), Paths: []string{"app", "app/with\nnewline", "app/x", "app/y"}}
	if diff := cmp.Diff(want, read(t, root)); diff != "" {
		t.Errorf("trap 39: the receipt of one that was cut off differs:\n%s", diff)
	}
	write(t, root, b, true, "app/z")
	want = receipt.Receipt{Key: b, Complete: true, Author: self(), Paths: []string{"app/z"}}
	if diff := cmp.Diff(want, read(t, root)); diff != "" {
		t.Errorf("trap 39: the receipt after a redo differs:\n%s", diff)
	}
}

func TestManyPathsOfAKilledExtraction(t *testing.T) {
	t.Parallel()
	root, _ := open(t)
	w, err := receipt.Begin(root, receipt.Key{Digest: "sha256:a"})
	if err != nil {
		t.Fatal(err)
	}
	for range 1000 {
		w.Laid("app/x")
	}
	if got := len(read(t, root).Paths); got < 1000-256 {
		t.Errorf("the receipt has %d paths before anything was closed, want at least 744", got)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestReadOfForgedReceipts(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{
		"nothing at all":         "",
		"no header":              "not json\napp\x00",
		"a path that is cut off": `{"digest":"d"}` + "\napp\x00app/x",
		"paths that leave":       `{"digest":"d"}` + "\n../etc/passwd\x00/etc/passwd\x00a/../../b\x00.\x00\x00app\x00",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root, top := open(t)
			if err := os.Mkdir(filepath.Join(top, receipt.Dir), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(top, receipt.Dir, "receipt"), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			for _, p := range read(t, root).Paths {
				if p != "app" {
					t.Errorf("the receipt lists %q", p)
				}
			}
		})
	}
}

func TestANilWriterWritesNowhere(t *testing.T) {
	t.Parallel()
	var w *receipt.Writer
	w.Laid("x")
	if err := w.Finish(); err != nil {
		t.Error(err)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
}

func TestRemove(t *testing.T) {
	t.Parallel()
	root, top := open(t)
	for _, dir := range []string{"app/d", "app/mixed", "data", "outside"} {
		if err := os.MkdirAll(filepath.Join(top, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range []string{"app/d/f", "app/mixed/theirs", "app/mixed/ours", "data/f", "outside/f"} {
		if err := os.WriteFile(filepath.Join(top, f), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("../outside", filepath.Join(top, "app/link")); err != nil {
		t.Fatal(err)
	}
	paths := []string{"app", "app/d", "app/d/f", "app/mixed", "app/mixed/ours", "app/link/f", "data/f", "app/gone", "app/d/f/below"}
	n, err := receipt.Receipt{Paths: paths}.Remove(root, func(p string) bool { return !strings.HasPrefix(p, "data") })
	if err != nil || n != 3 {
		t.Errorf("Remove = %d, %v, want 3 removed", n, err)
	}
	var left []string
	for _, p := range []string{"app/d", "app/mixed/ours", "app/mixed/theirs", "app/link", "data/f", "outside/f"} {
		if _, err := os.Lstat(filepath.Join(top, p)); err == nil {
			left = append(left, p)
		}
	}
	want := []string{"app/mixed/theirs", "app/link", "data/f", "outside/f"}
	if !slices.Equal(left, want) {
		t.Errorf("trap 39: what is left is %v, want %v", left, want)
	}
}

// TestForeignReceipts proves that root neither believes what another user can
// have written nor removes for that user what that user could not.
func TestForeignReceipts(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	const other = 1000
	files := []string{"app", "app/theirs", "app/roots"}
	for _, test := range []struct {
		name     string
		given    []string // what belongs to the other user
		complete bool
		removed  int
		left     []string
	}{
		{"all of it is root's", []string{"app", "app/theirs"}, true, 3, nil},
		{"the receipt is another's", []string{receipt.Dir + "/receipt", "app/theirs"}, false, 1, []string{"app", "app/roots"}},
		{"the directory is another's", []string{receipt.Dir, "app", "app/theirs"}, false, 1, []string{"app", "app/roots"}},
		{"a directory of theirs that holds nothing else", []string{receipt.Dir, "app", "app/theirs", "app/roots"}, false, 3, nil},
	} {
		t.Run("trap 39: "+test.name, func(t *testing.T) {
			t.Parallel()
			root, top := open(t)
			if err := os.Mkdir(filepath.Join(top, "app"), 0o755); err != nil {
				t.Fatal(err)
			}
			for _, f := range files[1:] {
				if err := os.WriteFile(filepath.Join(top, f), nil, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			write(t, root, receipt.Key{Digest: "sha256:a"}, true, files...)
			for _, p := range test.given {
				if err := os.Chown(filepath.Join(top, p), other, other); err != nil {
					t.Fatal(err)
				}
			}
			r := read(t, root)
			if r.Complete != test.complete {
				t.Errorf("Complete = %v, want %v", r.Complete, test.complete)
			}
			n, err := r.Remove(root, func(string) bool { return true })
			if err != nil || n != test.removed {
				t.Errorf("Remove = %d, %v, want %d removed", n, err, test.removed)
			}
			var left []string
			for _, p := range files {
				if _, err := os.Lstat(filepath.Join(top, p)); err == nil {
					left = append(left, p)
				}
			}
			if !slices.Equal(left, test.left) {
				t.Errorf("what is left is %v, want %v", left, test.left)
			}
		})
	}
}

func TestVoid(t *testing.T) {
	t.Parallel()
	root, _ := open(t)
	if err := receipt.Void(root); err == nil {
		t.Error("a root without a directory for receipts can be voided")
	}
	key := receipt.Key{Digest: "sha256:a"}
	write(t, root, key, true, "app")
	for range 2 {
		if err := receipt.Void(root); err != nil {
			t.Fatal(err)
		}
		want := receipt.Receipt{Key: key, Author: self(), Paths: []string{"app"}}
		if diff := cmp.Diff(want, read(t, root)); diff != "" {
			t.Errorf("trap 39: the receipt that was voided differs:\n%s", diff)
		}
	}
}
