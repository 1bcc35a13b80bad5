package extract_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/drengskapur/fastmcp-runner/internal/extract"
	"github.com/drengskapur/fastmcp-runner/internal/layer"
)

func TestExtract(t *testing.T) {
	t.Parallel()
	nested := []entry{file("end/f", "x")}
	for i := range 40 {
		nested = append(nested, symlink("l"+strconv.Itoa(i+1), "l"+strconv.Itoa(i)))
	}
	nested = append(nested, symlink("l0", "end"), file("l39/g", "y"))
	tests := []struct {
		name   string
		before []string
		layers [][]entry
		want   map[string]string
	}{
		{
			name:   "files, directories and links of one layer",
			layers: [][]entry{{dir("a"), file("a/f", "x").mode(0o600), symlink("a/l", "f"), hardlink("h", "a/f"), file("p", "").fifo()}},
			want:   map[string]string{"a": "dir 0755", "a/f": "file 0600 x", "a/l": "symlink f", "h": "file 0600 x = a/f", "p": "fifo 0644"},
		},
		{
			name:   "trap 1: a whiteout after the file of the same layer keeps the file",
			layers: [][]entry{{file("x", "old")}, {file("x", "new"), file(".wh.x", "")}},
			want:   map[string]string{"x": "file 0644 new"},
		},
		{
			name:   "trap 1: a whiteout before the file of the same layer keeps the file",
			layers: [][]entry{{file("x", "old")}, {file(".wh.x", ""), file("x", "new")}},
			want:   map[string]string{"x": "file 0644 new"},
		},
		{
			name:   "trap 1: a whiteout of a directory that the layer makes anew hides the lower children only",
			layers: [][]entry{{file("d/old", "1"), file("d/sub/old", "1")}, {file("d/new", "2"), file(".wh.d", ""), file("d/sub/new", "2")}},
			want:   map[string]string{"d": "dir 0755", "d/new": "file 0644 2", "d/sub": "dir 0755", "d/sub/new": "file 0644 2"},
		},
		{
			name:   "trap 2: an opaque whiteout at the end removes the lower children and keeps the layer's own",
			layers: [][]entry{{file("d/old", "1"), file("d/sub/old", "1")}, {file("d/sub/new", "2"), file("d/new", "2"), file("d/.wh..wh..opq", "")}},
			want:   map[string]string{"d": "dir 0755", "d/new": "file 0644 2", "d/sub": "dir 0755", "d/sub/new": "file 0644 2"},
		},
		{
			name:   "trap 2: an opaque whiteout at the start does the same",
			layers: [][]entry{{file("d/old", "1"), file("d/sub/old", "1")}, {file("d/.wh..wh..opq", ""), file("d/sub/new", "2"), file("d/new", "2")}},
			want:   map[string]string{"d": "dir 0755", "d/new": "file 0644 2", "d/sub": "dir 0755", "d/sub/new": "file 0644 2"},
		},
		{
			name:   "trap 3: whiteouts at the root are applied, and spare what the image did not bring",
			before: []string{"host = h", "etc/"},
			layers: [][]entry{{file("foo", "1"), file("bar", "1")}, {file(".wh.foo", "")}, {file(".wh..wh..opq", ""), file("baz", "3")}},
			want:   map[string]string{"host": "file 0644 h", "etc": "dir 0755", "baz": "file 0644 3"},
		},
		{
			name:   "trap 5: a whiteout under a linked directory removes the target's child",
			layers: [][]entry{{file("real/x", "1"), file("real/y", "1"), symlink("link", "/real")}, {file("link/.wh.x", "")}},
			want:   map[string]string{"real": "dir 0755", "real/y": "file 0644 1", "link": "symlink /real"},
		},
		{
			name:   "trap 5: a whiteout of a missing path creates nothing",
			layers: [][]entry{{file("a", "1")}, {file("no/such/.wh.thing", "")}},
			want:   map[string]string{"a": "file 0644 1"},
		},
		{
			name:   "trap 6: a whiteout that is a directory, or has a body, counts by its name",
			layers: [][]entry{{file("a", "1"), file("b", "1"), file("c", "1")}, {dir(".wh.a"), file(".wh.b", "body")}},
			want:   map[string]string{"c": "file 0644 1"},
		},
		{
			name: "trap 7: the later kind replaces the earlier one",
			layers: [][]entry{
				{file("a/x", "1"), file("b", "1"), file("c/x", "1"), file("t/f", "1"), symlink("d", "t")},
				{file("a", "2"), dir("b"), symlink("c", "t"), dir("d")},
			},
			want: map[string]string{"a": "file 0644 2", "b": "dir 0755", "c": "symlink t", "t": "dir 0755", "t/f": "file 0644 1", "d": "dir 0755"},
		},
		{
			name:   "trap 8: a file below a file makes that a directory of mode 0755",
			layers: [][]entry{{file("a", "1")}, {file("a/x", "2")}},
			want:   map[string]string{"a": "dir 0755", "a/x": "file 0644 2"},
		},
		{
			name:   "trap 9: an entry below an absolute link lands in its target inside the root",
			layers: [][]entry{{dir("run"), symlink("var/run", "/run")}, {file("var/run/x", "1")}},
			want:   map[string]string{"run": "dir 0755", "run/x": "file 0644 1", "var": "dir 0755", "var/run": "symlink /run"},
		},
		{
			name:   "trap 9: an entry below a dangling link creates the target",
			layers: [][]entry{{symlink("lib", "usr/lib")}, {file("lib/x", "1")}},
			want:   map[string]string{"lib": "symlink usr/lib", "usr": "dir 0755", "usr/lib": "dir 0755", "usr/lib/x": "file 0644 1"},
		},
		{
			name:   "trap 9: surplus dots clamp at the root",
			layers: [][]entry{{symlink("l", "../../../../t")}, {file("l/x", "1")}},
			want:   map[string]string{"l": "symlink ../../../../t", "t": "dir 0755", "t/x": "file 0644 1"},
		},
		{
			name:   "trap 10: a file over a link replaces the link and leaves its target",
			layers: [][]entry{{file("bin/dash", "dash"), symlink("bin/sh", "dash")}, {file("bin/sh", "bash")}},
			want:   map[string]string{"bin": "dir 0755", "bin/dash": "file 0644 dash", "bin/sh": "file 0644 bash"},
		},
		{
			name:   "trap 11: link targets are stored as they are",
			layers: [][]entry{{symlink("a", "/../x/./y//z"), symlink("b", "../../../b")}},
			want:   map[string]string{"a": "symlink /../x/./y//z", "b": "symlink ../../../b"},
		},
		{
			name:   "trap 12: a directory over a link that leaves the root replaces the link",
			before: []string{"esc -> ../outside"},
			layers: [][]entry{{dir("esc").mode(0o700), file("esc/f", "1")}},
			want:   map[string]string{"esc": "dir 0700", "esc/f": "file 0644 1"},
		},
		{
			name:   "trap 12: a file below a link that the image did not make replaces the link",
			before: []string{"esc -> /"},
			layers: [][]entry{{file("esc/f", "1")}},
			want:   map[string]string{"esc": "dir 0755", "esc/f": "file 0644 1"},
		},
		{
			name:   "trap 13: the root's own entry changes nothing",
			layers: [][]entry{{dir("./").mode(0o700).owner(77), file("f", "1")}},
			want:   map[string]string{"f": "file 0644 1"},
		},
		{
			name: "trap 15: hard links relative, absolute, through links, to links, into lower layers",
			layers: [][]entry{
				{file("d/t", "1"), symlink("s", "d"), symlink("d/l", "t")},
				{hardlink("rel", "d/t"), hardlink("abs", "/d/t"), hardlink("dot", "./d/t"), hardlink("via", "s/t"), hardlink("sym", "d/l")},
			},
			want: map[string]string{
				"d": "dir 0755", "d/t": "file 0644 1 = abs", "s": "symlink d", "d/l": "symlink t",
				"rel": "file 0644 1 = abs", "abs": "file 0644 1", "dot": "file 0644 1 = abs", "via": "file 0644 1 = abs", "sym": "symlink t = d/l",
			},
		},
		{
			name:   "trap 15: a target that is deleted or overwritten later leaves the link its content",
			layers: [][]entry{{file("a", "1"), file("b", "2"), hardlink("la", "a"), hardlink("lb", "b")}, {file(".wh.a", ""), file("b", "3")}},
			want:   map[string]string{"b": "file 0644 3", "la": "file 0644 1", "lb": "file 0644 2"},
		},
		{
			name:   "trap 15: a target that comes later in the layer",
			layers: [][]entry{{hardlink("l", "a"), file("a", "1")}},
			want:   map[string]string{"a": "file 0644 1", "l": "file 0644 1 = a"},
		},
		{
			name:   "trap 19: of duplicates in one layer the last wins, whatever its kind",
			layers: [][]entry{{file("a", "1"), file("a", "2"), dir("b"), file("b", "3"), symlink("c", "x"), dir("c"), file("d/x", "1"), symlink("d", "c")}},
			want:   map[string]string{"a": "file 0644 2", "b": "file 0644 3", "c": "dir 0755", "d": "symlink c"},
		},
		{
			name:   "trap 22: directories of mode 0555 and 0000 are filled and set at the end",
			layers: [][]entry{{dir("a").mode(0o555), file("a/f", "1").mode(0o400), dir("b").mode(0), dir("b/c")}, {file("a/g", "2")}},
			want:   map[string]string{"a": "dir 0555", "a/f": "file 0400 1", "a/g": "file 0644 2", "b": "dir 0000", "b/c": "dir 0755"},
		},
		{
			name:   "trap 22: a whiteout removes a directory of mode 0000",
			layers: [][]entry{{dir("a").mode(0), file("a/f", "1")}, {file(".wh.a", "")}},
			want:   map[string]string{},
		},
		{
			name:   "trap 25: devices are skipped",
			layers: [][]entry{{file("null", "").device(), file("f", "1")}},
			want:   map[string]string{"f": "file 0644 1"},
		},
		{
			name:   "trap 32: an image of empty layers is empty",
			layers: [][]entry{{}, {}},
			want:   map[string]string{},
		},
		{
			name:   "trap 9: forty links are followed",
			layers: [][]entry{nested},
			want: func() map[string]string {
				want := map[string]string{"end": "dir 0755", "end/f": "file 0644 x", "end/g": "file 0644 y", "l0": "symlink end"}
				for i := range 40 {
					want["l"+strconv.Itoa(i+1)] = "symlink l" + strconv.Itoa(i)
				}
				return want
			}(),
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			opts := options()
			root, _, err := run(t, test.before, image(t, test.layers...), opts)
			if err != nil {
				t.Fatalf("Extract = %v", err)
			}
			got := dump(t, root)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("the tree differs (-want +got):\n%s", diff)
			}
			if names, err := filepath.Glob(filepath.Join(filepath.Dir(root), "*")); err != nil || len(names) != 1 {
				t.Errorf("something outside of the root changed: %v, %v", names, err)
			}
		})
	}
}

func TestExtractAllowlist(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		before []string
		layers [][]entry
		want   map[string]string
	}{
		{
			name:   "what is not wanted never reaches the disk",
			before: []string{"etc/", "etc/passwd = host"},
			layers: [][]entry{{file("etc/passwd", "evil"), file("app/f", "1"), symlink("etc/link", "x"), file("bin/sh", "evil")}},
			want:   map[string]string{"etc": "dir 0755", "etc/passwd": "file 0644 host", "app": "dir 0755", "app/f": "file 0644 1"},
		},
		{
			name:   "an entry through the image's own link is what it leads to",
			before: []string{"etc/", "etc/passwd = host"},
			layers: [][]entry{{symlink("app/esc", "/etc"), symlink("srv", "app/real")}, {file("app/esc/passwd", "evil"), file("srv/f", "1")}},
			want: map[string]string{
				"etc": "dir 0755", "etc/passwd": "file 0644 host", "app": "dir 0755", "app/esc": "symlink /etc",
				"app/real": "dir 0755", "app/real/f": "file 0644 1",
			},
		},
		{
			name:   "a link that an earlier start left leads nothing away",
			before: []string{"etc/", "etc/passwd = host", "app/", "app/esc -> ../etc"},
			layers: [][]entry{{file("app/esc/passwd", "1")}},
			want:   map[string]string{"etc": "dir 0755", "etc/passwd": "file 0644 host", "app": "dir 0755", "app/esc": "dir 0755", "app/esc/passwd": "file 0644 1"},
		},
		{
			name:   "a whiteout of an excluded directory removes what was taken from below it",
			layers: [][]entry{{symlink("usr/x", "/app/x"), file("usr/x/f", "1"), file("app/g", "1")}, {file(".wh.usr", ""), file("usr/x/h", "2")}},
			want:   map[string]string{"app": "dir 0755", "app/g": "file 0644 1", "app/x": "dir 0755", "app/x/f": "file 0644 1"},
		},
		{
			name:   "an image's file replaces what was there, and its whiteouts spare what is not its own",
			before: []string{"app/", "app/f = host", "app/g = host", "app/d/", "app/d/x = host"},
			layers: [][]entry{{file("app/f", "1"), file("app/d/y", "1")}, {file("app/.wh.g", ""), file("app/.wh.d", "")}},
			want:   map[string]string{"app": "dir 0755", "app/f": "file 0644 1", "app/g": "file 0644 host", "app/d": "dir 0755", "app/d/x": "file 0644 host"},
		},
		{
			name: "the user's data is never overwritten, changed or deleted",
			before: []string{
				"data/", "data/f = mine", "data/link -> f", "data/dir/", "data/dir/x = mine", "data/file = mine", "data/deep/", "data/deep/mine = mine",
			},
			layers: [][]entry{
				{
					dir("data").mode(0o700), file("data/f", "image"), file("data/link", "image"), file("data/dir", "image"),
					file("data/file/below", "image"), file("data/new", "image"), file("data/deep/image", "image"), dir("data/deep").mode(0o700),
				},
				{file("data/.wh.f", ""), file("data/.wh.dir", ""), file("data/.wh..wh..opq", ""), file("data/deep", "image")},
			},
			want: map[string]string{
				"data": "dir 0755", "data/f": "file 0644 mine", "data/link": "symlink f", "data/dir": "dir 0755", "data/dir/x": "file 0644 mine",
				"data/file": "file 0644 mine", "data/deep": "dir 0755", "data/deep/mine": "file 0644 mine",
			},
		},
		{
			name:   "of the image's own data the higher layer wins",
			before: []string{"data/"},
			layers: [][]entry{{file("data/f", "1"), file("data/g", "1"), dir("data/d").mode(0o700)}, {file("data/f", "2"), file("data/.wh.g", "")}},
			want:   map[string]string{"data": "dir 0755", "data/f": "file 0644 2", "data/d": "dir 0700"},
		},
		{
			name: "trap 17: a hard link to an excluded file gets its content",
			layers: [][]entry{
				{file("root/.cache/uv/a", "1").mode(0o600), hardlink("app/x", "root/.cache/uv/a"), hardlink("app/y", "root/.cache/uv/a")},
				{hardlink("app/z", "/root/.cache/uv/a")},
			},
			want: map[string]string{"app": "dir 0755", "app/x": "file 0600 1", "app/y": "file 0600 1 = app/x", "app/z": "file 0600 1"},
		},
		{
			name:   "trap 17: the excluded file may be a hard link itself, or a symbolic link",
			layers: [][]entry{{file("c/a", "1"), hardlink("c/b", "c/a"), symlink("c/l", "a")}, {hardlink("c/d", "c/b"), hardlink("app/x", "c/d"), hardlink("app/l", "c/l")}},
			want:   map[string]string{"app": "dir 0755", "app/x": "file 0644 1", "app/l": "symlink a"},
		},
		{
			name:   "a hard link to the user's file gets the image's content",
			before: []string{"data/", "data/f = mine"},
			layers: [][]entry{{file("data/f", "image"), hardlink("app/l", "data/f")}},
			want:   map[string]string{"app": "dir 0755", "app/l": "file 0644 image", "data": "dir 0755", "data/f": "file 0644 mine"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			opts := options()
			opts.Wanted, opts.Keep = underApp, isData
			root, _, err := run(t, test.before, image(t, test.layers...), opts)
			if err != nil {
				t.Fatalf("Extract = %v", err)
			}
			if diff := cmp.Diff(test.want, dump(t, root)); diff != "" {
				t.Errorf("the tree differs (-want +got):\n%s", diff)
			}
		})
	}
}

func TestExtractFails(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		layers [][]entry
		opts   func(*extract.Options)
		want   string
	}{
		{name: "trap 4: an empty whiteout", layers: [][]entry{{file("a/.wh.", "")}}, want: `layer 1 of 1 (sha256:0)`},
		{name: "trap 4: a whiteout of the parent", layers: [][]entry{{file("f", "1")}, {file(".wh...", "")}}, want: `layer 2 of 2 (sha256:1)`},
		{name: "trap 9: a link to itself", layers: [][]entry{{symlink("l", "l"), file("l/x", "1")}}, want: `passes more than 40 symbolic links`},
		{name: "trap 14: a name that leaves the root", layers: [][]entry{{file("../x", "1")}}, want: `"../x"`},
		{name: "trap 15: a hard link that leaves the root", layers: [][]entry{{hardlink("x", "../../etc/shadow")}}, want: `../../etc/shadow`},
		{name: "trap 15: a hard link without a target", layers: [][]entry{{hardlink("x", "no/such")}}, want: `the hard link "x" has no target: the image has no file "no/such"`},
		{name: "trap 15: a hard link to a directory", layers: [][]entry{{dir("d"), hardlink("x", "d")}}, want: `the image has no file "d"`},
		{
			name: "trap 17: a hard link to an excluded file that does not exist", layers: [][]entry{{hardlink("app/x", "root/no")}},
			opts: func(o *extract.Options) { o.Wanted = underApp }, want: `the image has no file "root/no"`,
		},
		{
			name: "trap 17: excluded hard links that lead in a circle", layers: [][]entry{{hardlink("c/a", "c/b"), hardlink("c/b", "c/a"), hardlink("app/x", "c/a")}},
			opts: func(o *extract.Options) { o.Wanted = underApp }, want: `the hard link "app/x" has no target: "c/a" leads in a circle`,
		},
		{
			name: "trap 17: an excluded hard link to itself", layers: [][]entry{{hardlink("c/a", "c/a"), hardlink("app/x", "c/a")}},
			opts: func(o *extract.Options) { o.Wanted = underApp }, want: `the hard link "app/x" has no target: "c/a" leads in a circle`,
		},
		{
			name: "trap 30: more bytes than allowed over all layers", layers: [][]entry{{file("a", strings.Repeat("x", 3000))}, {file("b", strings.Repeat("x", 3000))}},
			opts: func(o *extract.Options) { o.MaxBytes = 9000 }, want: `too many bytes when unpacked: more than 9000 in all`,
		},
		{
			name: "trap 30: more entries than allowed over all layers", layers: [][]entry{{file("a", ""), file("b", "")}, {file("c", "")}},
			opts: func(o *extract.Options) { o.MaxEntries = 2 }, want: `too many entries: more than 2`,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			opts := options()
			if test.opts != nil {
				test.opts(&opts)
			}
			root, _, err := run(t, nil, image(t, test.layers...), opts)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Extract = %v, want an error with %q", err, test.want)
			}
			if names, err := filepath.Glob(filepath.Join(filepath.Dir(root), "*")); err != nil || len(names) != 1 {
				t.Errorf("something outside of the root changed: %v, %v", names, err)
			}
		})
	}
}

// TestAChainOfExcludedLinksIsReadTwiceAtMost holds an image to a bounded number
// of reads, however long its chains are.
func TestAChainOfExcludedLinksIsReadTwiceAtMost(t *testing.T) {
	t.Parallel()
	entries := []entry{file("c/0", "content")}
	for i := range 50 {
		entries = append(entries, hardlink("c/"+strconv.Itoa(i+1), "c/"+strconv.Itoa(i)))
	}
	entries = append(entries, hardlink("app/x", "c/50"), hardlink("app/y", "c/25"))
	img := image(t, entries)
	var opened atomic.Int32
	open := img[0].Open
	img[0].Open = func(ctx context.Context) (io.ReadCloser, error) {
		opened.Add(1)
		return open(ctx)
	}
	opts := options()
	opts.Wanted = underApp
	root, _, err := run(t, nil, img, opts)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"app": "dir 0755", "app/x": "file 0644 content", "app/y": "file 0644 content = app/x"}
	if diff := cmp.Diff(want, dump(t, root)); diff != "" {
		t.Errorf("trap 17: the tree differs (-want +got):\n%s", diff)
	}
	if got := opened.Load(); got != 3 {
		t.Errorf("trap 17: the layer was opened %d times, want 3: to apply it, to find the ends of the chains, and to fetch the content", got)
	}
}

func TestExtractHandsErrorsOn(t *testing.T) {
	t.Parallel()
	broken := errors.New("the digest is wrong")
	content := pack(t, file("app/f", "1"))
	for name, open := range map[string]func(context.Context) (io.ReadCloser, error){
		"trap 29: a blob that cannot be opened": func(context.Context) (io.ReadCloser, error) { return nil, broken },
		"trap 29: a blob that fails at its end": func(context.Context) (io.ReadCloser, error) {
			return io.NopCloser(io.MultiReader(strings.NewReader(string(content)), failing{broken})), nil
		},
	} {
		_, _, err := run(t, nil, []extract.Layer{{Digest: "sha256:d", Open: open}}, options())
		if !errors.Is(err, broken) {
			t.Errorf("%s: Extract = %v, want %v", name, err, broken)
		}
	}
	if _, _, err := run(t, nil, image(t, []entry{file("a", "1")}), extract.Options{Wanted: everything, MaxBytes: 1}); !errors.Is(err, layer.ErrTooManyBytes) {
		t.Errorf("Extract = %v, want %v", err, layer.ErrTooManyBytes)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestExtractStopsWhenToldTo(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("told to stop")
	l := extract.Layer{Digest: "sha256:d", Open: func(context.Context) (io.ReadCloser, error) {
		cancel(stop)
		return io.NopCloser(strings.NewReader(string(pack(t, file("f", "1"))))), nil
	}}
	root := openRoot(t)
	if _, err := extract.Extract(ctx, root, []extract.Layer{l}, options()); !errors.Is(err, stop) {
		t.Errorf("Extract = %v, want %v", err, stop)
	}
}

func TestReportCounts(t *testing.T) {
	t.Parallel()
	opts := options()
	opts.Wanted, opts.Keep = underApp, isData
	_, report, err := run(t, []string{"data/", "data/f = mine"}, image(t, []entry{
		file("app/a", "12345"), file("app/b", "678"), file("etc/x", "no"), file("app/null", "").device(), file("data/f", "image"),
	}), opts)
	if err != nil {
		t.Fatal(err)
	}
	want := extract.Report{Entries: 5, Files: 2, Bytes: 8, Excluded: 1, Devices: 1, Kept: 1}
	report.Owners = 0
	if diff := cmp.Diff(want, report); diff != "" {
		t.Errorf("the report differs (-want +got):\n%s", diff)
	}
}

func TestModTimes(t *testing.T) {
	t.Parallel()
	root, _, err := run(t, nil, image(t,
		[]entry{dir("d").time(epoch), file("d/f", "1").time(epoch), symlink("d/l", "f").time(epoch)},
		[]entry{file("d/g", "2").time(epoch)},
	), options())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"d", "d/f", "d/l", "d/g"} {
		info, err := os.Lstat(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		if !info.ModTime().Equal(epoch) {
			t.Errorf("trap 23: %s has the time %v, want %v", name, info.ModTime(), epoch)
		}
	}
}

// TestManyDirectories passes the number of directories that are kept open.
func TestManyDirectories(t *testing.T) {
	t.Parallel()
	var entries []entry
	want := map[string]string{}
	for i := range 300 {
		name := fmt.Sprintf("d%d", i%150)
		entries = append(entries, file(fmt.Sprintf("%s/s/f%d", name, i), "x"))
		want[name], want[name+"/s"], want[fmt.Sprintf("%s/s/f%d", name, i)] = "dir 0755", "dir 0755", "file 0644 x"
	}
	root, _, err := run(t, nil, image(t, entries), options())
	if err != nil {
		t.Fatal(err)
	}
	if got := dump(t, root); !maps.Equal(want, got) {
		t.Errorf("the tree differs:\n%s", cmp.Diff(want, got))
	}
}

func TestExtractOverLinksOfTheHost(t *testing.T) {
	t.Parallel()
	before := []string{"usr/bin/", "usr/lib/", "bin -> usr/bin", "lib -> usr/lib", "sbin -> usr/sbin"}
	for name, test := range map[string]struct {
		layers [][]entry
		want   map[string]string
	}{
		"trap 7: a directory over such a link keeps it, and its files go where it leads": {
			layers: [][]entry{{dir("bin").mode(0o700), file("bin/sh", "1"), hardlink("lib/x", "bin/sh"), file("sbin/init", "2")}},
			want:   map[string]string{"usr/bin/sh": "file 0644 1", "usr/lib/x": "file 0644 1 = usr/bin/sh", "usr/sbin": "dir 0755", "usr/sbin/init": "file 0644 2"},
		},
		"the same link of the image changes nothing": {
			layers: [][]entry{{symlink("bin", "/usr/bin"), symlink("lib", "usr/lib"), file("usr/bin/sh", "1")}, {file("bin/.wh.sh", ""), file(".wh.lib", "")}},
			want:   map[string]string{},
		},
		"a link from the one of two directories to the other leaves the file alone": {
			layers: [][]entry{{file("bin/env", "1"), symlink("usr/bin/env", "../../bin/env"), symlink("usr/lib/x", "/lib/x"), file("lib/x", "2")}},
			want:   map[string]string{"usr/bin/env": "file 0644 1", "usr/lib/x": "file 0644 2"},
		},
		"another link of the image replaces it": {
			layers: [][]entry{{symlink("sbin", "usr/bin"), file("sbin/init", "2")}},
			want:   map[string]string{"sbin": "symlink usr/bin", "usr/bin/init": "file 0644 2"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			opts := options()
			opts.Links = []string{"bin", "sbin", "lib", "lib64"}
			root, _, err := run(t, before, image(t, test.layers...), opts)
			if err != nil {
				t.Fatal(err)
			}
			want := map[string]string{
				"usr": "dir 0755", "usr/bin": "dir 0755", "usr/lib": "dir 0755",
				"bin": "symlink usr/bin", "lib": "symlink usr/lib", "sbin": "symlink usr/sbin",
			}
			maps.Copy(want, test.want)
			if diff := cmp.Diff(want, dump(t, root)); diff != "" {
				t.Errorf("the tree differs (-want +got):\n%s", diff)
			}
		})
	}
}

// waiting is a blob whose first read waits for ready, and that says by done
// when it was read to its end.
type waiting struct {
	io.Reader

	ready <-chan struct{}
	done  chan<- struct{}
}

func (w *waiting) Read(p []byte) (int, error) {
	if w.ready != nil {
		<-w.ready
	}
	n, err := w.Reader.Read(p)
	if err == io.EOF && w.done != nil {
		close(w.done)
		w.done = nil
	}
	return n, err
}

func (w *waiting) Close() error { return nil }

func TestLayersAreAppliedInOrderHoweverTheyArrive(t *testing.T) {
	t.Parallel()
	arrived := make(chan struct{})
	late := &waiting{Reader: bytes.NewReader(pack(t, file("f", "lower"), file("gone", "1"))), ready: arrived}
	early := &waiting{Reader: bytes.NewReader(pack(t, file("f", "upper"), file(".wh.gone", ""))), done: arrived}
	img := []extract.Layer{
		{Digest: "sha256:0", Open: func(context.Context) (io.ReadCloser, error) { return late, nil }},
		{Digest: "sha256:1", Open: func(context.Context) (io.ReadCloser, error) { return early, nil }},
	}
	root, _, err := run(t, nil, img, options())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"f": "file 0644 upper"}, dump(t, root)); diff != "" {
		t.Errorf("trap 33: the tree differs (-want +got):\n%s", diff)
	}
}

// TestAnErrorLeavesNothingBehind fails also if a goroutine is left: the next
// blob is being read when a layer fails.
func TestAnErrorLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		opened, closed := make(chan struct{}), false
		endless := extract.Layer{Digest: "sha256:1", Open: func(ctx context.Context) (io.ReadCloser, error) {
			close(opened)
			return &blocked{ctx: ctx, closed: &closed}, nil
		}}
		broken := extract.Layer{Digest: "sha256:0", Open: func(context.Context) (io.ReadCloser, error) {
			return &waiting{Reader: bytes.NewReader(pack(t, file("../x", ""))), ready: opened}, nil
		}}
		if _, err := extract.Extract(t.Context(), openRoot(t), []extract.Layer{broken, endless}, options()); err == nil {
			t.Error("Extract succeeded")
		}
		if !closed {
			t.Error("the blob that was read ahead is still open")
		}
	})
}

// blocked is a blob from which nothing comes until its context ends.
type blocked struct {
	ctx    context.Context //nolint:containedctx // it plays a connection
	closed *bool
}

func (b *blocked) Read([]byte) (int, error) {
	<-b.ctx.Done()
	return 0, b.ctx.Err()
}

func (b *blocked) Close() error {
	*b.closed = true
	return nil
}
