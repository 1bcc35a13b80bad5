package extract_test

import (
	"maps"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/drengskapur/fastmcp-runner/internal/extract"
	"github.com/drengskapur/fastmcp-runner/internal/ids"
	"github.com/drengskapur/fastmcp-runner/internal/rootfs"
)

// names are what the generated entries are called and what their links hold.
func names() []string {
	return []string{
		"app", "app/a", "app/a/b", "app/l", "app/l/x", "data", "data/mine", "data/mine/x", "data/d", "data/l/y",
		"usr", "usr/lib", "usr/lib/x", "lib", "lib/x", "etc/passwd", "out", "out/secret", ".", "app/../usr",
		"/app", "../../outside", "/../outside/secret", "..", "a/../../outside", "app/l/../..",
	}
}

// decode makes an image of up to three layers out of fuzzed bytes: four for
// each entry.
func decode(data []byte) [][]entry {
	layers := [][]entry{{}}
	pick := func(b byte) string { return names()[int(b)%len(names())] }
	for ; len(data) >= 4 && len(layers) < 4; data = data[4:] {
		name, target := pick(data[1]), pick(data[2])
		mode := int64(data[3]) << 4
		var e entry
		switch data[0] % 10 {
		case 0:
			layers = append(layers, nil)
			continue
		case 1:
			e = dir(name).mode(mode)
		case 2:
			e = symlink(name, target)
		case 3:
			e = hardlink(name, target)
		case 4:
			e = file(name, "").device()
		case 5:
			e = file(name, "").fifo()
		case 6:
			e = file(filepath.Join(filepath.Dir(name), ".wh."+filepath.Base(name)), "")
		case 7:
			e = file(name+"/.wh..wh..opq", "")
		default:
			e = file(name, string(data[:2])).mode(mode | 0o6000).owner(int(data[3]))
		}
		layers[len(layers)-1] = append(layers[len(layers)-1], e)
	}
	return layers
}

// FuzzExtract asserts of any image: nothing outside of the root changes, the
// host's and the user's files stay as they are, the same input makes the same
// tree, and no device, setuid file or foreign owner appears where the server's
// user owns everything.
func FuzzExtract(f *testing.F) {
	f.Add([]byte{8, 3, 0, 1, 2, 3, 23, 0, 0, 0, 0, 0, 8, 4, 0, 9, 6, 3, 0, 0})
	f.Add([]byte{2, 1, 20, 0, 8, 17, 0, 1, 3, 2, 15, 0, 7, 0, 0, 0})
	f.Add([]byte{1, 0, 0, 0, 8, 2, 9, 9, 0, 0, 0, 0, 7, 0, 0, 0, 6, 6, 0, 0, 8, 7, 1, 2})
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 200 {
			t.Skip("long enough to be slow, and no new shapes")
		}
		img := decode(data)
		first, err := extractBeside(t, img)
		second, err2 := extractBeside(t, img)
		if (err == nil) != (err2 == nil) {
			t.Fatalf("the same image gave %v and %v", err, err2)
		}
		if err == nil && !maps.Equal(first, second) {
			t.Fatalf("the same image gave two trees:\n%s", cmp.Diff(first, second))
		}
	})
}

// extractBeside extracts img beside files that must not change, checks that
// and the owned directory, and returns the tree.
func extractBeside(t *testing.T, img [][]entry) (map[string]string, error) {
	t.Helper()
	top := t.TempDir()
	populate(t, top, []string{"outside/", "outside/secret = s", "root/etc/", "root/etc/passwd = host", "root/data/", "root/data/mine = mine", "root/out -> ../outside"})
	before := dump(t, filepath.Join(top, "outside"))
	root, err := rootfs.Open(filepath.Join(top, "root"))
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	opts := options()
	opts.Wanted, opts.Keep = underApp, isData
	opts.Owned, opts.Owner = []string{"app"}, ids.User{UID: 1000, GID: 1000}
	_, err = extract.Extract(t.Context(), root, image(t, img...), opts)

	if diff := cmp.Diff(before, dump(t, filepath.Join(top, "outside"))); diff != "" {
		t.Errorf("the outside changed:\n%s", diff)
	}
	tree := dump(t, filepath.Join(top, "root"))
	for name, want := range map[string]string{"etc/passwd": "file 0644 host", "data/mine": "file 0644 mine", "out": "symlink ../outside"} {
		if tree[name] != want {
			t.Errorf("%s is now %q, want %q", name, tree[name], want)
		}
	}
	if err == nil && os.Geteuid() == 0 {
		checkOwned(t, filepath.Join(top, "root/app"))
	}
	return tree, err
}

func checkOwned(t *testing.T, app string) {
	t.Helper()
	err := filepath.WalkDir(app, func(name string, _ os.DirEntry, err error) error {
		if os.IsNotExist(err) {
			return nil
		}
		if err != nil {
			return err
		}
		s := stat(t, name)
		if s.Uid != 1000 || s.Gid != 1000 {
			t.Errorf("%s belongs to %d:%d", name, s.Uid, s.Gid)
		}
		if kind := s.Mode & 0o170000; kind == 0o020000 || kind == 0o060000 {
			t.Errorf("%s is a device", name)
		}
		if s.Mode&0o170000 == 0o100000 && s.Mode&0o6000 != 0 {
			t.Errorf("%s has the mode %o", name, s.Mode)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
