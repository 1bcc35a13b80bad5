package extract_test

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/drengskapur/fastmcp-runner/internal/extract"
)

// TestMinimalImages holds what TestRandomImages has found, made as small as it
// goes.
func TestMinimalImages(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		before []string
		layers [][]entry
		opts   func(*extract.Options)
		want   map[string]string
	}{
		{
			name:   "trap 17: a hard link to an excluded fifo becomes one",
			layers: [][]entry{{file("c/p", "").fifo(), hardlink("app/p", "c/p")}},
			opts:   func(o *extract.Options) { o.Wanted = underApp },
			want:   map[string]string{"app": "dir 0755", "app/p": "fifo 0644"},
		},
		{
			name:   "trap 35: a hard link to a file that is left out on the way to a mount gets its content",
			before: []string{"run/secrets/"},
			layers: [][]entry{{file("run", "1"), hardlink("x", "run")}},
			opts:   func(o *extract.Options) { o.Mounted = []string{"run/secrets"} },
			want:   map[string]string{"run": "dir 0755", "run/secrets": "dir 0755", "x": "file 0644 1"},
		},
		{
			name:   "trap 21: a directory to be owned whose place is below a file of the image does not exist",
			layers: [][]entry{{file("srv", "1")}},
			opts:   func(o *extract.Options) { o.Owned = []string{"srv/data"} },
			want:   map[string]string{"srv": "file 0644 1"},
		},
		{
			name:   "trap 25: a device takes away what it replaces",
			layers: [][]entry{{file("x", "1")}, {file("x", "").device()}},
			opts:   func(*extract.Options) {},
			want:   map[string]string{},
		},
		{
			name:   "trap 8: what is not taken takes away a file in the place of its directory",
			layers: [][]entry{{file("app", "1")}, {file("app/c", "2")}},
			opts:   func(o *extract.Options) { o.Wanted = func(p string) bool { return p == "app" } },
			want:   map[string]string{},
		},
		{
			name: "trap 2: every opaque whiteout of a directory hides what the layer before it brought",
			layers: [][]entry{
				{dir("d"), file("d/a", "1")}, {file("d/.wh..wh..opq", ""), file("d/b", "2")}, {file("d/.wh..wh..opq", ""), file("d/c", "3")},
			},
			opts: func(*extract.Options) {},
			want: map[string]string{"d": "dir 0755", "d/c": "file 0644 3"},
		},
		{
			name:   "a directory that a whiteout hides and its own layer has something in is a new one",
			layers: [][]entry{{dir("d").mode(0o700), file("d/x", "1")}, {file("d/y", "2"), file(".wh.d", "")}},
			opts:   func(*extract.Options) {},
			want:   map[string]string{"d": "dir 0755", "d/y": "file 0644 2"},
		},
		{
			name:   "trap 17: a hard link to one that waits for its content gets it, too",
			layers: [][]entry{{file("c/f", "1"), hardlink("app/f", "c/f"), hardlink("app/g", "app/f")}},
			opts:   func(o *extract.Options) { o.Wanted = underApp },
			want:   map[string]string{"app": "dir 0755", "app/f": "file 0644 1", "app/g": "file 0644 1 = app/f"},
		},
		{
			name:   "trap 17: a hard link that waits for its content is replaced by what its layer has there later",
			layers: [][]entry{{file("c/f", "1"), hardlink("app/f", "c/f"), file("app/f", "2")}},
			opts:   func(o *extract.Options) { o.Wanted = underApp },
			want:   map[string]string{"app": "dir 0755", "app/f": "file 0644 2"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			opts := options()
			test.opts(&opts)
			root, _, err := run(t, test.before, image(t, test.layers...), opts)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, dump(t, root)); diff != "" {
				t.Errorf("the tree differs (-want +got):\n%s", diff)
			}
		})
	}
}

// TestXattrsOfReadOnlyFilesAsUser extracts what root may write and a user not.
func TestXattrsOfReadOnlyFilesAsUser(t *testing.T) {
	t.Parallel()
	if os.Geteuid() == 0 {
		runAsUser(t)
		return
	}
	root, _, err := run(t, nil, image(t, []entry{
		file("f", "1").mode(0o444).xattr("user.note", "kept"), dir("d").mode(0o555).xattr("user.note", "kept"),
	}), options())
	if err != nil {
		t.Fatalf("trap 24: %v", err)
	}
	tree := scan(t, root)
	for name, mode := range map[string]int64{"f": 0o444, "d": 0o555} {
		if f := tree[name]; f.mode != mode || f.xattrs != "user.note=kept" {
			t.Errorf("trap 24: %s is %v, want the mode %04o and the attribute", name, f, mode)
		}
	}
}
