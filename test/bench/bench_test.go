package main

import (
	"archive/tar"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestSpan(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		values []float64
		want   span
	}{
		{"an odd number", []float64{9, 1, 5}, span{5, 1, 9}},
		{"an even number", []float64{4, 1, 2, 9}, span{3, 1, 9}},
		{"one", []float64{7}, span{7, 7, 7}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := newSpan(tt.values); got != tt.want {
				t.Errorf("newSpan(%v) = %v, want %v", tt.values, got, tt.want)
			}
		})
	}
}

func TestRatiosArePairedByRound(t *testing.T) {
	t.Parallel()
	// The machine was slow in the second round, for both.
	const s = time.Second
	r := result{uses: [][]usage{{{Wall: s}, {Wall: 10 * s}, {Wall: s}}, {{Wall: 3 * s}, {Wall: 30 * s}, {Wall: 4 * s}}}}
	if got, want := r.ratio(1, wallOf), (span{3, 3, 4}); got != want {
		t.Errorf("ratio = %v, want %v", got, want)
	}
}

// TestGoalsHaveTheirFigures keeps a goal from dropping out when something is
// renamed.
func TestGoalsHaveTheirFigures(t *testing.T) {
	t.Parallel()
	var results []result
	for _, s := range new(bench).scenarios(floorNotes{}) {
		results = append(results, result{scenario: s})
	}
	for _, g := range append(goals(), ceilings()...) {
		if _, _, ok := g.find(results); !ok {
			t.Errorf("no scenario %q has a contestant %q", g.scenario, g.contestant)
		}
	}
}

func TestStatOfAProcessWithAnOddName(t *testing.T) {
	t.Parallel()
	const stat = "42 (a) S 7 (b) R 7 42 42 0 -1 4194304 100 0 0 0 11 5 3 1 20 0 1 0 100 0 0\n"
	parent, cpu, err := parseStat(stat)
	if want := 20 * tick; parent != 7 || cpu != want || err != nil {
		t.Errorf("parseStat = %d, %v, %v; want 7, %v", parent, cpu, err, want)
	}
	if _, _, err := parseStat("42 (a) S 7"); err == nil {
		t.Error("parseStat of a line that is cut off is no error")
	}
}

func TestBusyCPUs(t *testing.T) {
	t.Parallel()
	busy, err := parseBusy("cpu  100 1 20 5000 300 2 3 4 0 0\ncpu0 1 1\n")
	if want := 130 * tick; busy != want || err != nil {
		t.Errorf("parseBusy = %v, %v; want %v", busy, err, want)
	}
	if _, err := parseBusy("intr 1 2 3"); err == nil {
		t.Error("parseBusy of another line is no error")
	}
}

// lay makes a tree of every kind of node.
func lay(t *testing.T, root string) {
	t.Helper()
	for _, make := range []func() error{
		func() error { return os.Mkdir(filepath.Join(root, "dir"), 0o750) },
		func() error { return os.WriteFile(filepath.Join(root, "dir/file"), []byte("content"), 0o640) },
		func() error { return os.Link(filepath.Join(root, "dir/file"), filepath.Join(root, "dir/further")) },
		func() error { return os.Symlink("file", filepath.Join(root, "dir/link")) },
		func() error { return os.WriteFile(filepath.Join(root, "top"), nil, 0o755) },
	} {
		if err := make(); err != nil {
			t.Fatal(err)
		}
	}
	// Of the link itself too: two trees that are laid one after the other would
	// differ by a tick of the clock.
	long := unix.NsecToTimespec(time.Unix(1e9, 5).UnixNano())
	for _, name := range []string{"dir/file", "dir/link", "top", "dir"} {
		if err := unix.UtimesNanoAt(unix.AT_FDCWD, filepath.Join(root, name), []unix.Timespec{long, long}, unix.AT_SYMLINK_NOFOLLOW); err != nil {
			t.Fatal(err)
		}
	}
}

func everything(string) bool { return true }

func mustRead(t *testing.T, root string) map[string]node {
	t.Helper()
	tree, err := readTree(root, everything)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

func TestDifferencesOfTrees(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change func(root string) error
		want   string // empty: none
	}{
		{"none", func(string) error { return nil }, ""},
		{"content", func(root string) error {
			return change(root, "dir/file", func(file string) error { return os.WriteFile(file, []byte("CONTENT"), 0o600) })
		}, "content differs"},
		{"size", func(root string) error { return os.WriteFile(filepath.Join(root, "top"), []byte("x"), 0o600) }, "size 1, not 0"},
		{"mode", func(root string) error { return os.Chmod(filepath.Join(root, "top"), 0o700) }, "mode"},
		{"time", func(root string) error {
			return os.Chtimes(filepath.Join(root, "top"), time.Unix(1e9, 0), time.Unix(1e9, 0))
		}, "time"},
		{"missing", func(root string) error { return os.Remove(filepath.Join(root, "top")) }, "top is missing"},
		{"in addition", func(root string) error { return os.Mkdir(filepath.Join(root, "new"), 0o755) }, "new is there in addition"},
		{"target", func(root string) error {
			return change(root, "dir", func(dir string) error {
				link := filepath.Join(dir, "link")
				if err := os.Remove(link); err != nil {
					return err
				}
				return os.Symlink("else", link)
			})
		}, "target else, not file"},
		{"a copy for a hard link", func(root string) error {
			return change(root, "dir", func(dir string) error {
				further := filepath.Join(dir, "further")
				if err := os.Remove(further); err != nil {
					return err
				}
				return os.WriteFile(further, []byte("content"), 0o600)
			})
		}, "hard link to"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			want, got := t.TempDir(), t.TempDir()
			lay(t, want)
			lay(t, got)
			if err := tt.change(got); err != nil {
				t.Fatal(err)
			}
			found, err := differences(mustRead(t, want), mustRead(t, got), time.Unix(2e9, 0))
			if err != nil {
				t.Fatal(err)
			}
			if all := strings.Join(found, "\n"); (tt.want == "") != (all == "") || !strings.Contains(all, tt.want) {
				t.Errorf("differences = %q, want one that says %q", found, tt.want)
			}
		})
	}
}

// change changes something and gives it back the time that it had.
func change(root, name string, do func(file string) error) error {
	file := filepath.Join(root, name)
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	if err := do(file); err != nil {
		return err
	}
	return os.Chtimes(file, info.ModTime(), info.ModTime())
}

func TestTheFloorWritesTheSameTree(t *testing.T) {
	t.Parallel()
	from, to := t.TempDir(), t.TempDir()
	lay(t, from)
	want := mustRead(t, from)
	m, err := loadMemory(want)
	if err != nil {
		t.Fatal(err)
	}
	const writers = 2
	if err := m.write(to, writers); err != nil {
		t.Fatal(err)
	}
	found, err := differences(want, mustRead(t, to), time.Unix(2e9, 0))
	// Which mode a file gets depends on the umask of who runs this.
	found = slices.DeleteFunc(found, func(d string) bool { return strings.Contains(d, ": mode ") })
	if err != nil || len(found) > 0 {
		t.Errorf("differences %q, %v", found, err)
	}
}

func TestLayersAreReadAsTheyWereWritten(t *testing.T) {
	t.Parallel()
	for _, how := range []compression{likeDocker, likeZstd} {
		dir := filepath.Join(t.TempDir(), "layers")
		err := writeLayers(dir, how, []content{all(text("a", "first"), hardLink("b", "a")), text("c", "second")})
		if err != nil {
			t.Fatal(err)
		}
		ls, err := readLayers(dir)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, l := range ls {
			names = append(names, entryNames(t, l)...)
		}
		if diff := cmp.Diff([]string{"a", "b", "c"}, names); diff != "" {
			t.Errorf("%s: the entries differ (-want +got):\n%s", how, diff)
		}
	}
}

func entryNames(t *testing.T, l blob) (names []string) {
	t.Helper()
	r, err := l.open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for entries := tar.NewReader(r); ; {
		hdr, err := entries.Next()
		if err == io.EOF {
			return names
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, hdr.Name)
	}
}

func TestPackagesOfAMergedUsr(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"bin/": "", "lib64/": "", "bin/sh": "usr/bin/sh", "lib/x/y": "usr/lib/x/y", "etc/": "etc/", "usr/bin/": "usr/bin/",
	} {
		hdr := &tar.Header{Name: name}
		if kept := merged(hdr); kept != (want != "") || (kept && hdr.Name != want) {
			t.Errorf("merged(%q) = %v, %q; want %q", name, kept, hdr.Name, want)
		}
	}
}

func TestPacedBodies(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const rate, size = 60e6, 90e6
		start := time.Now()
		body := &paced{ReadCloser: io.NopCloser(io.LimitReader(zeros{}, size)), rate: rate, start: start}
		if n, err := io.Copy(io.Discard, body); n != size || err != nil {
			t.Fatal(n, err)
		}
		const want, most = 1500 * time.Millisecond, 1501 * time.Millisecond
		if took := time.Since(start); took < want || took > most {
			t.Errorf("90 MB at 60 MB/s took %v, want %v", took, want)
		}
	})
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestRangesThroughTheProxy(t *testing.T) {
	t.Parallel()
	const body = "0123456789"
	registry := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(body))
	}))
	t.Cleanup(registry.Close)
	for ranges, want := range map[bool]string{true: "206 34", false: "200 " + body} {
		address, stop, err := limits{bytesPerSecond: 1e9, ranges: ranges}.proxy(registry.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := stop(); err != nil {
				t.Error(err)
			}
		})
		if got := get(t, "http://"+address, "bytes=3-4"); got != want {
			t.Errorf("with ranges %v: %q, want %q", ranges, got, want)
		}
	}
}

func get(t *testing.T, url, asked string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Range", asked)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%d %s", resp.StatusCode, body)
}

func TestFiguresReplaceOnlyTheirSection(t *testing.T) {
	t.Parallel()
	begin, end := marks("bench")
	page := filepath.Join(t.TempDir(), "page.md")
	write := func(body string) {
		if err := os.WriteFile(page, []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("before\n" + begin + "old\n" + end + "after\n")
	if err := replaceSection(page, "bench", "new"); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(page)
	if want := "before\n" + begin + "\nnew\n" + end + "after\n"; string(got) != want || err != nil {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
	write("no marks\n")
	if err := replaceSection(page, "bench", "new"); err == nil {
		t.Error("a page without marks is no error")
	}
}
