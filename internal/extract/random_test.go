package extract_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"

	"github.com/drengskapur/fastmcp-runner/internal/extract"
	"github.com/drengskapur/fastmcp-runner/internal/ids"
	"github.com/drengskapur/fastmcp-runner/internal/rootfs"
)

var (
	images = flag.Int("images", 2000, "how many random images TestRandomImages tries")
	strict = flag.Bool("strict", false, "report the differences that are known, too")
	seed   = flag.Uint64("seed", 1, "the seed of the first of them")
)

// TestRandomImages holds Extract against the oracle on random images. For many
// of them, and for one again:
//
//	go test ./internal/extract -run RandomImages$ -images 100000 -seed 1000000
//	go test ./internal/extract -run RandomImages$ -images 1 -seed 4711
func TestRandomImages(t *testing.T) {
	t.Parallel()
	tryRandomImages(t, *images)
}

// TestRandomImagesAsUser does the same without the rights of root.
func TestRandomImagesAsUser(t *testing.T) {
	t.Parallel()
	if os.Geteuid() == 0 {
		runAsUser(t)
		return
	}
	tryRandomImages(t, *images/10)
}

func tryRandomImages(t *testing.T, count int) {
	t.Helper()
	var next, applied, refused, undecided atomic.Int64
	t.Run("", func(t *testing.T) {
		for range 4 {
			t.Run("", func(t *testing.T) {
				t.Parallel()
				l := newLab(t)
				for i := next.Add(1); i <= int64(count); i = next.Add(1) {
					n := *seed + uint64(i) - 1
					if !l.holds(fromSeed(n), fmt.Sprintf("seed %d", n)) {
						break
					}
				}
				applied.Add(l.outcomes["applied"])
				refused.Add(l.outcomes["refused"])
				undecided.Add(l.outcomes["undecided"])
			})
		}
	})
	t.Logf("%d images were applied, %d were bad, of %d anything is right", applied.Load(), refused.Load(), undecided.Load())
	if applied.Load() < int64(count)/3 {
		t.Errorf("only %d of %d images were applied: the generator has become useless", applied.Load(), count)
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
	t        *testing.T
	top      string
	root     string
	outside  map[string]fact
	gzip     *gzip.Writer
	zstd     *zstd.Encoder
	outcomes map[string]int64 // how many images had which
}

func newLab(t *testing.T) *lab {
	t.Helper()
	l := &lab{t: t, top: t.TempDir(), outcomes: map[string]int64{}}
	var err error
	if l.gzip, err = gzip.NewWriterLevel(nil, gzip.BestSpeed); err != nil {
		t.Fatal(err)
	}
	if l.zstd, err = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest)); err != nil {
		t.Fatal(err)
	}
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
		_, _ = l.extract(img.leftover, nil, 0, opts) // whatever comes of it is the host's then
	}
	before := scan(l.t, l.root)

	o := newOracle(img.takes(opts, before), before, opts.Links)
	o.doubts.givesWay = img.givesWay(opts, before)
	bad := o.apply(img.layers)
	var told toldPaths
	opts.Laid = told.add
	report, err := l.extract(img.layers, img.packing, img.pace, opts)

	outside, got := l.scan()
	if diffs := differences(l.outside, outside); len(diffs) > 0 {
		return "the outside changed:\n" + strings.Join(diffs, "\n")
	}
	switch {
	case o.undecided() != "":
		l.outcomes["undecided"]++
		return ""
	case bad != nil && err == nil:
		return fmt.Sprintf("Extract succeeded, want an error: %v", bad)
	case bad != nil:
		l.outcomes["refused"]++
		return ""
	case err != nil:
		return fmt.Sprintf("Extract = %v", err)
	}
	l.outcomes["applied"]++
	if want := img.entries(); report.Entries != want {
		return fmt.Sprintf("Extract reports %d entries, want %d", report.Entries, want)
	}
	if diffs := append(differences(o.disk(opts), got), strayNames(got)...); len(diffs) > 0 {
		return strings.Join(diffs, "\n")
	}
	return told.missing(o, before)
}

// scan reads the root, and what lies outside of it.
func (l *lab) scan() (outside, root map[string]fact) {
	outside, root = scan(l.t, l.top), map[string]fact{}
	for p, f := range outside {
		if below, ok := strings.CutPrefix(p, "root/"); ok {
			root[below] = f
		}
		if isWithin(p, "root") {
			delete(outside, p)
		}
	}
	nameFiles(root)
	return outside, root
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

func (l *lab) extract(layers [][]entry, packing []packing, pace uint64, opts extract.Options) (report extract.Report, err error) {
	root, err := rootfs.Open(l.root)
	if err != nil {
		l.t.Fatal(err)
	}
	defer root.Close()
	var img []extract.Layer
	for i, entries := range layers {
		content := l.pack(entries)
		if packing != nil {
			content = l.compress(content, packing[i], len(entries) == 0)
		}
		img = append(img, extract.Layer{Digest: fmt.Sprintf("sha256:%d", i), Open: func(context.Context) (io.ReadCloser, error) {
			if pace == 0 {
				return io.NopCloser(bytes.NewReader(content)), nil
			}
			return newPaced(content, pace, i), nil
		}})
	}
	if pace == 0 {
		return extract.Extract(l.t.Context(), root, img, opts)
	}
	synctest.Test(l.t, func(t *testing.T) {
		report, err = extract.Extract(t.Context(), root, img, opts)
	})
	return report, err
}

// paced is a blob that arrives in pieces, in the time of package synctest:
// that passes only while everybody waits, so that the same pace makes the same
// order of events whatever the machine does.
type paced struct {
	content []byte
	random  *rand.Rand
	speed   int // milliseconds between two pieces, at most
}

func newPaced(content []byte, pace uint64, layer int) *paced {
	random := rand.New(rand.NewPCG(pace, uint64(layer)))
	return &paced{content, random, []int{1, 100, 10_000}[random.IntN(3)]}
}

func (p *paced) Read(b []byte) (int, error) {
	if len(p.content) == 0 {
		return 0, io.EOF
	}
	time.Sleep(time.Duration(p.random.IntN(p.speed)) * time.Millisecond)
	n := copy(b, p.content[:min(len(p.content), 512+p.random.IntN(1+len(p.content)/4))])
	p.content = p.content[n:]
	return n, nil
}

func (p *paced) Close() error { return nil }

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

// compress stores an archive as packing says.
func (l *lab) compress(archive []byte, p packing, empty bool) []byte {
	var buf bytes.Buffer
	var parts [][]byte
	switch {
	case p == nothing && empty:
		return nil
	case p == gzipped:
		parts = [][]byte{archive}
	case p == gzippedInParts:
		parts = [][]byte{archive[:len(archive)/3], archive[len(archive)/3:]}
	case p == zstandard:
		return l.zstd.EncodeAll(archive, nil)
	default:
		return archive
	}
	for _, part := range parts {
		l.gzip.Reset(&buf)
		if _, err := l.gzip.Write(part); err != nil {
			l.t.Fatal(err)
		}
		if err := l.gzip.Close(); err != nil {
			l.t.Fatal(err)
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
	opts.Owned, opts.Owner = img.owned, ids.User{UID: 1000, GID: 1000}
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
