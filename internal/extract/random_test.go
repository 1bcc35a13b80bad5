package extract_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"

	"github.com/drengskapur/fastmcp-runner/internal/extract"
	"github.com/drengskapur/fastmcp-runner/internal/rootfs"
)

var (
	images = flag.Int("images", 2000, "how many random images TestRandomImages tries")
	strict = flag.Bool("strict", false, "known differences too")
	seed   = flag.Uint64("seed", 1, "the seed of the first of them")
)

// TestRandomImages holds Extract against the oracle on random images. For many
// of them:
//
//	go test ./internal/extract -run RandomImages -images 100000 -seed 1000000
func TestRandomImages(t *testing.T) {
	t.Parallel()
	var next atomic.Int64
	for range 4 {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			for i := next.Add(1); i <= int64(*images); i = next.Add(1) {
				n := *seed + uint64(i) - 1
				if !l.holds(fromSeed(n), fmt.Sprintf("seed %d", n)) {
					return
				}
			}
		})
	}
}

// FuzzImages does the same for images that the fuzzer steers to.
func FuzzImages(f *testing.F) {
	f.Add([]byte(noise[:200]))
	f.Fuzz(func(t *testing.T, data []byte) {
		newLab(t).holds(generate(func(n int) int {
			var x int
			for range (n + 254) / 255 {
				if len(data) > 0 {
					x, data = x<<8|int(data[0]), data[1:]
				}
			}
			return x % n
		}), "")
	})
}

func fromSeed(n uint64) randomImage {
	return generate(rand.New(rand.NewPCG(n, 0)).IntN)
}

// lab is where images are tried: a directory with a root, and beside it what
// no image may reach.
type lab struct {
	t       *testing.T
	top     string
	root    string
	outside map[string]fact
}

func newLab(t *testing.T) *lab {
	t.Helper()
	l := &lab{t: t, top: t.TempDir()}
	l.root = filepath.Join(l.top, "root")
	populate(t, l.top, []string{"outside/", "outside/secret = s"})
	l.outside = scan(t, l.top)
	t.Cleanup(l.clear)
	return l
}

// clear removes the root.
func (l *lab) clear() {
	if os.Geteuid() != 0 {
		scan(l.t, l.top) // makes directories readable
	}
	if err := os.RemoveAll(l.root); err != nil {
		l.t.Fatal(err)
	}
}

// holds reports whether Extract does with an image what the oracle does. If it
// does not, the smallest image that shows a difference is printed.
func (l *lab) holds(img randomImage, name string) bool {
	l.t.Helper()
	if l.try(img) == "" {
		return true
	}
	small := shrink(img, func(img randomImage) bool { return l.try(img) != "" })
	l.t.Errorf("%s: Extract is not right about this image:\n%v%s", name, small, l.try(small))
	return false
}

// try extracts an image and returns what is wrong with the result.
func (l *lab) try(img randomImage) string {
	l.clear()
	l.populate(img.host)
	opts := img.extractOptions()
	if len(img.leftover) > 0 && os.Geteuid() == 0 {
		_, _ = l.extract(img.leftover, nil, opts) // whatever comes of it is the host's then
	}
	before := scan(l.t, l.root)

	o := newOracle(img.takes(opts, before), before, opts.Links)
	o.gives = img.givesWay(opts, before)
	o.isOwned = func(p string) bool { return ownedBy(opts, p) }
	var bad error
	for _, layer := range img.layers {
		if bad == nil && o.unspecified == "" {
			bad = o.apply(layer)
		}
	}
	var told toldPaths
	opts.Laid = told.add
	report, err := l.extract(img.layers, img.packing, opts)

	all := scan(l.t, l.top)
	maps.DeleteFunc(all, func(p string, _ fact) bool { return isWithin(p, "root") })
	if diffs := differences(l.outside, all); len(diffs) > 0 {
		return "the outside changed:\n" + strings.Join(diffs, "\n")
	}
	switch {
	case o.unspecified != "":
		return ""
	case bad != nil && err == nil:
		return fmt.Sprintf("Extract succeeded, want an error: %v", bad)
	case bad != nil:
		return ""
	case err != nil:
		return fmt.Sprintf("Extract = %v", err)
	}
	if want := img.entries(); report.Entries != want {
		return fmt.Sprintf("Extract reports %d entries, want %d", report.Entries, want)
	}
	if diffs := differences(o.disk(opts), scan(l.t, l.root)); len(diffs) > 0 {
		return strings.Join(diffs, "\n")
	}
	return told.missing(o, before)
}

// populate makes the root with the host's files. What has no place, because a
// file or a link is in the way, is left out.
func (l *lab) populate(host []entry) {
	if err := os.Mkdir(l.root, 0o755); err != nil {
		l.t.Fatal(err)
	}
	root, err := os.OpenRoot(l.root)
	if err != nil {
		l.t.Fatal(err)
	}
	defer root.Close()
	for _, e := range host {
		if err := root.MkdirAll(parent("/"+e.Name), 0o755); err != nil && parent(e.Name) != "" {
			continue
		}
		_, err := root.Lstat(e.Name)
		switch {
		case err == nil:
		case e.Typeflag == tar.TypeDir:
			err = root.Mkdir(e.Name, 0o755)
		case e.Typeflag == tar.TypeSymlink:
			err = root.Symlink(strings.ReplaceAll(e.Linkname, outsideLink, filepath.Join(l.top, "outside")), e.Name)
		default:
			err = root.WriteFile(e.Name, []byte(e.content), 0o644)
		}
		if err != nil && !errors.Is(err, unix.ENOTDIR) {
			l.t.Fatal(err)
		}
	}
}

func (l *lab) extract(layers [][]entry, packing []packing, opts extract.Options) (extract.Report, error) {
	root, err := rootfs.Open(l.root)
	if err != nil {
		l.t.Fatal(err)
	}
	defer root.Close()
	var img []extract.Layer
	for i, entries := range layers {
		content := l.pack(entries)
		if packing != nil {
			content = packing[i].compress(l.t, content, len(entries) == 0)
		}
		img = append(img, blob(fmt.Sprintf("sha256:%d", i), content))
	}
	return extract.Extract(l.t.Context(), root, img, opts)
}

// pack makes a tar of the entries, each in its own format if that can hold it.
func (l *lab) pack(entries []entry) []byte {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, e := range entries {
		e.Size = int64(len(e.content))
		var err error
		for _, format := range []tar.Format{e.Format, tar.FormatPAX, tar.FormatGNU} {
			e.Format = format
			if err = w.WriteHeader(&e.Header); err == nil {
				break
			}
		}
		if err == nil {
			_, err = io.WriteString(w, e.content)
		}
		if err != nil {
			l.t.Fatalf("cannot pack %+v: %v", e.Header, err)
		}
	}
	if err := w.Close(); err != nil {
		l.t.Fatal(err)
	}
	return buf.Bytes()
}

func (p packing) compress(t *testing.T, archive []byte, empty bool) []byte {
	t.Helper()
	var buf bytes.Buffer
	var parts [][]byte
	switch p {
	case gzipped:
		parts = [][]byte{archive}
	case gzippedInParts:
		parts = [][]byte{archive[:len(archive)/3], archive[len(archive)/3:]}
	case zstandard:
		w, err := zstd.NewWriter(&buf, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(archive); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return buf.Bytes()
	case nothing:
		if empty {
			return nil
		}
		return archive
	default:
		return archive
	}
	for _, part := range parts {
		w, err := gzip.NewWriterLevel(&buf, gzip.BestSpeed)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(part); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if p == gzippedInParts {
		buf.Write(make([]byte, 512))
	}
	return buf.Bytes()
}

func (img randomImage) entries() int64 {
	var n int64
	for _, layer := range img.layers {
		n += int64(len(layer))
	}
	return n
}

func (img randomImage) extractOptions() extract.Options {
	anyWithin := func(p string, dirs []string) bool {
		return slices.ContainsFunc(dirs, func(dir string) bool { return isWithin(p, dir) })
	}
	opts := options()
	opts.Wanted = func(p string) bool {
		return (len(img.allow) == 0 || anyWithin(p, img.allow)) && !anyWithin(p, img.deny)
	}
	opts.Keep = func(p string) bool { return img.keep != "" && isWithin(p, img.keep) }
	opts.Links, opts.Mounted = img.links, img.mounted
	opts.Owned, opts.Owner = img.owned, extract.Owner{UID: 1000, GID: 1000}
	return opts
}

// takes returns what goes to the disk where before lies already: what is
// wanted, but no devices, nothing but a directory on the way to a mount, and
// nothing in the place of the user's data.
func (img randomImage) takes(opts extract.Options, before map[string]fact) func(string, byte) bool {
	givesWay := img.givesWay(opts, before)
	return func(p string, kind byte) bool {
		leadsToMount := slices.ContainsFunc(opts.Mounted, func(mount string) bool { return isWithin(mount, p) })
		return kind != tar.TypeChar && opts.Wanted(p) && (kind == tar.TypeDir || !leadsToMount) && !givesWay(p, kind)
	}
}

func (img randomImage) givesWay(opts extract.Options, before map[string]fact) func(string, byte) bool {
	return func(p string, kind byte) bool {
		for at := range prefixes(p) {
			if there, ok := before[at]; ok && opts.Keep(at) && (there.kind != tar.TypeDir || at == p && kind != tar.TypeDir) {
				return true
			}
		}
		return false
	}
}

// toldPaths are the paths that Options.Laid was told, and when: the first and
// the last time.
type toldPaths struct {
	mu          sync.Mutex
	n           int
	first, last map[string]int
}

func (l *toldPaths) add(p string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.first == nil {
		l.first, l.last = map[string]int{}, map[string]int{}
	}
	l.n++
	l.last[p] = l.n
	if l.first[p] == 0 {
		l.first[p] = l.n
	}
}

// missing says which path of the image was not told, or only before its
// directory.
func (l *toldPaths) missing(o *oracle, before map[string]fact) string {
	var wrong []string
	o.root.each("", func(p string, n *node) {
		if there, ok := before[p]; !n.laid || n.fixed || ok && there.kind == tar.TypeDir && n.Typeflag == tar.TypeDir {
			return
		}
		if l.last[p] == 0 {
			wrong = append(wrong, fmt.Sprintf("Laid was not told %q", p))
		}
		if l.first[parent(p)] > l.last[p] {
			wrong = append(wrong, fmt.Sprintf("Laid was told %q before its directory", p))
		}
	})
	return strings.Join(wrong, "\n")
}
