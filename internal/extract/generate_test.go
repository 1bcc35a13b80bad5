package extract_test

import (
	"archive/tar"
	"math"
	"path"
	"slices"
	"strings"
	"time"
)

// unknownType is a tar type that nobody defined.
const unknownType = 'Z'

// randomImage is one generated case: layers, what the root holds before, and
// what the options ask for.
type randomImage struct {
	// leftover are layers that were extracted at an earlier start.
	leftover [][]entry
	host     []entry // what else was in the root before
	layers   [][]entry
	packing  []packing // of each layer
	pace     uint64    // seeds how slowly the layers arrive; 0: at once

	allow, deny    []string // what is wanted: all, if allow is empty
	keep           string   // the user's data lies there, unless empty
	links, mounted []string
	owned          []string
}

// packing is how a layer's archive is stored.
type packing uint8

const (
	plain packing = iota
	gzipped
	gzippedInParts // two members, and zeros at the end
	zstandard
	nothing // no archive at all, if the layer has no entries
	packings
)

// roll returns a number from 0 to n-1.
type roll func(n int) int

func (r roll) chance(percent int) bool { return r(100) < percent }

func pick[T any](r roll, of []T) T { return of[r(len(of))] }

// generator makes one image.
type generator struct {
	roll

	names []string
	used  []string // paths that something was generated for
	// seen follows the image, so that hard links find targets.
	seen *oracle
}

func generate(r roll) randomImage {
	g := &generator{roll: r, names: alphabet(r)}
	img := g.options()
	if r.chance(15) {
		img.leftover = g.layers(1 + r(2))
	}
	img.host = g.hostFiles(img)
	img.layers = g.layers(1 + min(r(6), r(6)))
	if r.chance(10) {
		img.layers = append(img.layers, pick(r, img.layers))
	}
	if r.chance(60) {
		img.pace = uint64(1 + r(1_000_000))
	}
	for range img.layers {
		img.packing = append(img.packing, packing(r(int(packings))))
	}
	return img
}

// alphabet returns a few names, so few that paths meet often.
func alphabet(r roll) []string {
	odd := []string{
		"a b", " ", "new\nline", "tab\t", "\u00fc\u4e16", "\xff\xfe", "\x01", strings.Repeat("l", 255), strings.Repeat("\u00fc", 127),
		".x", "..x", "...", ".wh", ".whx", ".w", "a.wh.b", "-rf", "*", "\\", "'", "A",
	}
	names := []string{"a", "b", "c", "d", "e"}[:2+r(4)]
	for range r(3) {
		names = append(names, pick(r, odd))
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// options chooses what is taken, and what the host has to say.
func (g *generator) options() randomImage {
	var img randomImage
	if g.chance(40) {
		for range 1 + g.roll(2) {
			img.allow = append(img.allow, g.path(2))
		}
	}
	if g.chance(20) {
		img.deny = append(img.deny, g.path(3))
	}
	switch g.roll(8) {
	case 0, 1:
		img.keep = pick(g.roll, g.names)
	case 2:
		img.allow, img.deny = nil, nil
		img.links = []string{pick(g.roll, g.names)}
	case 3:
		mount := g.path(3)
		img.mounted = []string{mount}
		img.deny = append(img.deny, mount)
	}
	if g.chance(20) {
		img.owned = []string{pick(g.roll, g.names)}
	}
	return img
}

// path returns a new path of up to depth names.
func (g *generator) path(depth int) string {
	var p string
	for range 1 + g.roll(depth) {
		p = path.Join(p, pick(g.roll, g.names))
	}
	return p
}

// place returns a path near those that were used before, so that entries meet.
func (g *generator) place() string {
	if len(g.used) == 0 || g.chance(25) {
		return g.path(4)
	}
	switch p := pick(g.roll, g.used); g.roll(5) {
	case 0:
		return path.Join(p, pick(g.roll, g.names))
	case 1:
		return path.Join(parent(p), pick(g.roll, g.names))
	case 2:
		if up := parent(p); up != "" {
			return up
		}
		return p
	default:
		return p
	}
}

// hostFiles fills the root before the extraction. What it makes is described
// by entries too: of directories, files and links.
func (g *generator) hostFiles(img randomImage) []entry {
	var host []entry
	for _, p := range img.links {
		host = append(host, symlink(p, pick(g.roll, []string{"", "/"})+g.path(2)))
	}
	for _, p := range img.mounted {
		host = append(host, dir(p))
	}
	if !g.chance(50) {
		return host
	}
	for range g.roll(8) {
		p := g.path(3)
		if img.keep != "" && g.chance(50) {
			p = path.Join(img.keep, p)
		}
		switch g.roll(4) {
		case 0:
			host = append(host, dir(p))
		case 1:
			host = append(host, symlink(p, pick(g.roll, []string{"/", "..", "../outside", "../../outside/secret", outsideLink, g.target(p)})))
		default:
			host = append(host, file(p, "host's "+p))
		}
		g.used = append(g.used, p)
	}
	return host
}

// outsideLink stands for the absolute path of what lies outside of the root.
const outsideLink = "OUTSIDE"

func (g *generator) layers(n int) [][]entry {
	g.seen = newOracle(func(string, byte) bool { return true }, nil, nil)
	layers := make([][]entry, 0, n)
	for range n {
		g.seen.layer++
		layers = append(layers, g.layer())
		g.seen.linkWaiting()
	}
	return layers
}

func (g *generator) layer() []entry {
	var entries []entry
	add := func(e entry) {
		if err := g.seen.place(e); err != nil && !g.chance(4) {
			return // most images shall be good ones
		}
		entries = append(entries, e)
	}
	count := g.roll(12)
	if g.chance(2) {
		count *= 10
	}
	tidy, described := g.chance(60), map[string]bool{}
	for range count {
		e := g.entry()
		if tidy {
			for _, p := range g.undescribed(e, described) {
				add(g.describe(dir(p).mode(0o755)))
			}
		}
		add(e)
	}
	return entries
}

// undescribed returns the directories above an entry that the layer has not
// described yet, as most layers do.
func (g *generator) undescribed(e entry, described map[string]bool) []string {
	p, err := clean(e.Name)
	if err != nil {
		return nil
	}
	var dirs []string
	for at := range prefixes(parent(p)) {
		n := g.seen.at(at)
		if !described[at] && (n == nil || n.Typeflag != tar.TypeSymlink || g.chance(20)) {
			dirs = append(dirs, at)
		}
		described[at] = true
	}
	return dirs
}

// isSaid reports whether the layer has said already what p is, or made a hard
// link to it. Most layers say it once, as the specification demands.
func (g *generator) isSaid(p string) bool {
	n := g.seen.at(p)
	return g.seen.doubts.named[p] > 0 || n != nil && g.seen.doubts.linked[inLayer{n.entry, g.seen.layer}]
}

func (g *generator) entry() entry {
	p := g.place()
	for tries := 0; tries < 4 && g.isSaid(p); tries++ {
		p = g.place()
	}
	g.used = append(g.used, p)
	var e entry
	switch n := g.roll(100); {
	case n < 32:
		e = file("", g.content())
		e.Mode = pick(g.roll, []int64{0o644, 0o644, 0o755, 0o600, 0o400, 0, 0o4755, 0o2755, 0o6711, 0o1777, 0o444, 0o666, 0o2644})
	case n < 50:
		e = dir("")
		e.Mode = pick(g.roll, []int64{0o755, 0o755, 0o700, 0o555, 0, 0o1777, 0o2775, 0o500, 0o111})
	case n < 66:
		e = symlink("", g.target(p))
	case n < 80:
		if e = hardlink("", g.linked(p)); e.Linkname == "" {
			e = file("", g.content())
		}
	case n < 89:
		return g.vary(file(path.Join(parent(p), ".wh."+path.Base(p)), ""))
	case n < 93:
		return g.vary(file(path.Join(p, ".wh..wh..opq"), ""))
	case n < 95:
		e = file("", "").fifo()
		e.Mode = pick(g.roll, []int64{0o644, 0o600, 0o666, 0o622})
	case n < 97:
		e = file("", "").device()
	default:
		return g.vary(g.odd(p))
	}
	e.Name = p
	g.spell(&e)
	return g.describe(e)
}

// odd returns what is rare: entries without a meaning, and bad ones.
func (g *generator) odd(p string) entry {
	e := file(p, "")
	switch g.roll(14) {
	case 0:
		e.Typeflag = unknownType
	case 1:
		e = entry{}
		e.Typeflag, e.Name, e.PAXRecords = tar.TypeXGlobalHeader, "global", map[string]string{"comment": p}
	case 2:
		e.Name = path.Join(parent(p), ".wh..wh."+pick(g.roll, []string{"plnk", "aufs", "plnk/1.2"}))
	case 3:
		e = dir(pick(g.roll, []string{"./", "/", ".", "./."})).mode(0o700)
	case 4:
		e.Name = ".wh..wh..opq"
	case 5:
		e = dir(path.Join(parent(p), ".wh."+path.Base(p)))
	case 6:
		e.content = "what a whiteout holds is nothing"
		e.Name = path.Join(parent(p), ".wh."+path.Base(p))
	case 7:
		e = symlink(p, p)
	case 8:
		e = hardlink(p, pick(g.roll, []string{p, "missing", "../x", "/", g.place()}))
	default:
		e.Name = pick(g.roll, []string{
			"../x", p + "/../../../../../x", ".wh.", p + "/.wh.", ".wh..", ".wh...", ".wh." + p + "/x", ".", "./.",
			strings.Repeat("x", 256), strings.Repeat("xxxxxxx/", 512) + p,
		})
	}
	return e
}

// target returns what a symbolic link at p holds.
func (g *generator) target(p string) string {
	to := g.place()
	switch g.roll(12) {
	case 0, 1:
		return "/" + to
	case 2:
		return strings.Repeat("../", strings.Count(p, "/")+g.roll(4)) + to
	case 3:
		return pick(g.roll, []string{"/", ".", "..", "./", "../..", "/..", "missing", "missing/../" + to, to + "/", to + "/.", to + "//..", "/../" + to})
	case 4:
		return path.Base(p)
	case 5, 6:
		return path.Base(to)
	default:
		return strings.Repeat("../", strings.Count(p, "/")) + to
	}
}

// linked returns the target of a hard link at p: mostly one that is there.
func (g *generator) linked(p string) string {
	if g.chance(4) {
		return g.place()
	}
	var there []string
	g.seen.root.each("", func(at string, n *node) {
		if n.Typeflag != tar.TypeDir && n.Typeflag != tar.TypeLink && !isWithin(at, p) && !isWithin(p, at) {
			there = append(there, at)
		}
	})
	if len(there) == 0 {
		return ""
	}
	slices.Sort(there) // the same seed makes the same image
	return pick(g.roll, there)
}

// content returns a file's content, whose lengths lie around those of blocks.
func (g *generator) content() string {
	size := 0
	switch n := g.roll(100); {
	case n < 15:
	case n < 70:
		size = 1 + g.roll(40)
	case n < 99:
		size = pick(g.roll, []int{511, 512, 513, 1023, 1024, 1025, 4095, 4096, 4097})
	default:
		size = pick(g.roll, []int{64 << 10, 64<<10 + 1, 128<<10 - 1, 256 << 10, 256<<10 + 1, 300_000, 512<<10 + 1})
	}
	start := g.roll(256)
	return noise[start : start+size]
}

// noise is content that compresses a little: runs, and numbers by a linear
// congruence.
var noise = func() string {
	b := make([]byte, 1<<20)
	x := uint32(1)
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
		if x>>8&7 < 5 && i > 0 {
			b[i] = b[i-1]
		}
	}
	return string(b)
}()

// spell writes the name, or the target of a hard link, in another way.
func (g *generator) spell(e *entry) {
	name := &e.Name
	if e.Typeflag == tar.TypeLink && g.chance(50) {
		name = &e.Linkname
	}
	switch g.roll(20) {
	case 0, 1:
		*name = "./" + *name
	case 2:
		*name = "/" + *name
	case 3:
		*name = strings.ReplaceAll(*name, "/", "//")
	case 4:
		*name = pick(g.roll, g.names) + "/../" + *name
	case 5:
		*name = strings.ReplaceAll(*name, "/", "/./")
	case 6, 7:
		if e.Typeflag == tar.TypeDir || e.Typeflag == tar.TypeSymlink {
			*name += "/"
		}
	}
}

// describe gives an entry its owner, time and attributes.
func (g *generator) describe(e entry) entry {
	ids := []int{0, 0, 0, 1, 7, 1000, 65534, 1<<21 - 1, 1 << 21, math.MaxUint32 - 1}
	e.Uid, e.Gid = pick(g.roll, ids), pick(g.roll, ids)
	e.ModTime = pick(g.roll, []time.Time{
		epoch, epoch.Add(time.Duration(g.roll(1000)) * time.Second), time.Unix(0, 0), time.Unix(-1, 0), time.Unix(1<<32, 0), time.Unix(-1<<30, 0),
	})
	if g.chance(30) {
		e.ModTime = e.ModTime.Add(pick(g.roll, []time.Duration{1, 100, 999_999_999, 123_456_789}))
	}
	if g.chance(10) && (e.Typeflag == tar.TypeReg || e.Typeflag == tar.TypeDir) {
		attr, value := pick(g.roll, []string{"user.note", "user.\u00fc", "trusted.no", "security.selinux", "security.capability"}), pick(g.roll, []string{"", "v", "a longer value"})
		if attr == "security.capability" {
			value = "\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
		}
		if attr != "security.capability" || e.Typeflag == tar.TypeReg {
			e = e.xattr(attr, value)
		}
	}
	return g.vary(e)
}

// vary chooses the archive's format, which limits what times can say.
func (g *generator) vary(e entry) entry {
	if e.Typeflag == tar.TypeXGlobalHeader {
		return e
	}
	if e.ModTime.IsZero() {
		e.ModTime = epoch
	}
	e.Format = pick(g.roll, []tar.Format{tar.FormatUSTAR, tar.FormatPAX, tar.FormatPAX, tar.FormatGNU})
	if len(e.PAXRecords) > 0 {
		e.Format = tar.FormatPAX
	}
	if e.Format != tar.FormatPAX {
		e.ModTime = e.ModTime.Truncate(time.Second)
	}
	return e
}
