package extract_test

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/drengskapur/fastmcp-runner/internal/extract"
	"github.com/drengskapur/fastmcp-runner/internal/rootfs"
)

// TestCostGrowsWithTheImage holds the processor time for images that are made
// to be slow against their size: four times the image may not cost eight times
// as much. It runs alone, because it measures the whole process.
//
//nolint:paralleltest // see above
func TestCostGrowsWithTheImage(t *testing.T) {
	for _, test := range []struct {
		name string
		n    int
		img  func(n int) [][]entry
		opts func(*extract.Options)
	}{
		{"whiteouts in one directory", 2000, func(n int) [][]entry {
			return [][]entry{each(n, func(i int) entry { return file("d/"+strconv.Itoa(i), "") }), each(n, func(i int) entry { return file("d/.wh."+strconv.Itoa(i), "") })}
		}, nil},
		{"opaque whiteouts of one directory, which has new files", 1500, func(n int) [][]entry {
			return [][]entry{append(each(n, func(i int) entry { return file("d/"+strconv.Itoa(i), "") }), each(n, func(int) entry { return file("d/.wh..wh..opq", "") })...)}
		}, nil},
		{"whiteouts of one directory, which has new files", 1500, func(n int) [][]entry {
			return [][]entry{{file("d/old", "")}, append(each(n, func(i int) entry { return file("d/"+strconv.Itoa(i), "") }), each(n, func(int) entry { return file(".wh.d", "") })...)}
		}, nil},
		{"directories a thousand deep", 5, func(n int) [][]entry {
			return [][]entry{each(n, func(i int) entry { return file(strconv.Itoa(i)+strings.Repeat("/d", 1000)+"/f", "") })}
		}, nil},
		{"whiteouts of directories a thousand deep", 5, func(n int) [][]entry {
			return [][]entry{
				each(n, func(i int) entry { return file(strconv.Itoa(i)+strings.Repeat("/d", 1000)+"/f", "") }),
				each(n, func(i int) entry { return file(".wh."+strconv.Itoa(i), "") }),
			}
		}, nil},
		{"a chain of hard links outside of what is taken", 2000, func(n int) [][]entry {
			entries := []entry{file("c/0", "x")}
			for i := range n {
				entries = append(entries, hardlink("c/"+strconv.Itoa(i+1), "c/"+strconv.Itoa(i)), hardlink("app/"+strconv.Itoa(i), "c/"+strconv.Itoa(i)))
			}
			return [][]entry{entries}
		}, func(o *extract.Options) { o.Wanted = underApp }},
		{"hard links before their target", 2000, func(n int) [][]entry {
			return [][]entry{append(each(n, func(i int) entry { return hardlink("l"+strconv.Itoa(i), "z") }), file("z", "x"))}
		}, nil},
		{"a maze of links with long targets", 200, func(n int) [][]entry {
			var entries []entry
			for i := range 38 {
				entries = append(entries, symlink("l"+strconv.Itoa(i+1), strings.Repeat("a/", n)+strings.Repeat("../", n)+"l"+strconv.Itoa(i)))
			}
			entries = append(entries, dir("l0"))
			return [][]entry{append(entries, each(10, func(i int) entry { return file("l38/"+strconv.Itoa(i), "") })...)}
		}, nil},
		{"a directory that a link replaces in each of five layers", 500, func(n int) [][]entry {
			var layers [][]entry
			for range 5 {
				layers = append(layers, each(n, func(i int) entry { return file("d/"+strconv.Itoa(i), "") }), []entry{symlink("d", "e")}, []entry{file(".wh.d", "")})
			}
			return layers
		}, nil},
		{"names as long as they may be", 200, func(n int) [][]entry {
			return [][]entry{each(n, func(i int) entry { return file(strings.Repeat(strings.Repeat("x", 250)+"/", 15)+strconv.Itoa(i), "") })}
		}, nil},
		{"directories beside each other", 1000, func(n int) [][]entry {
			return [][]entry{each(n, func(i int) entry { return file(fmt.Sprintf("%d/a/b/f", i), "") })}
		}, nil},
		{"layers", 200, func(n int) [][]entry {
			return make([][]entry, n)
		}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			cost := func(n int) time.Duration {
				opts := options()
				if test.opts != nil {
					test.opts(&opts)
				}
				img := image(t, test.img(n)...)
				least := time.Duration(1 << 62)
				for range 3 {
					root := openRootInMemory(t)
					before := processorTime(t)
					if _, err := extract.Extract(t.Context(), root, img, opts); err != nil {
						t.Fatal(err)
					}
					least = min(least, processorTime(t)-before)
				}
				return least
			}
			small, large := cost(test.n), cost(4*test.n)
			t.Logf("%v for %d, %v for four times as many (%.1f)", small, test.n, large, float64(large)/float64(small))
			if large > 8*small+20*time.Millisecond {
				t.Errorf("%v for %d, but %v for four times as many", small, test.n, large)
			}
		})
	}
}

// each makes n entries.
func each(n int, describe func(i int) entry) []entry {
	entries := make([]entry, n)
	for i := range entries {
		entries[i] = describe(i)
	}
	return entries
}

// openRootInMemory opens a root on a tmpfs where there is one: some file
// systems take longer to make a file the more were deleted before.
func openRootInMemory(t *testing.T) *rootfs.Root {
	t.Helper()
	name, err := os.MkdirTemp("/dev/shm", "extract") //nolint:usetesting // t.TempDir lies on a disk
	if err != nil {
		return openRoot(t)
	}
	root, err := rootfs.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(root.Close(), os.RemoveAll(name)); err != nil {
			t.Error(err)
		}
	})
	return root
}

// processorTime is what this process has used so far.
func processorTime(tb testing.TB) time.Duration {
	tb.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
