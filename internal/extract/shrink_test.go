package extract_test

import (
	"archive/tar"
	"fmt"
	"slices"
	"strings"
)

// shrink makes an image smaller as long as it stays wrong: whole layers go
// first, then entries, then what is odd about the rest.
func shrink(img randomImage, wrong func(randomImage) bool) randomImage {
	for smaller := true; smaller; {
		smaller = false
		for simpler := range img.simpler() {
			if wrong(simpler) {
				img, smaller = simpler, true
				break
			}
		}
	}
	return img
}

// simpler yields images that are simpler by one step, the largest steps first.
func (img randomImage) simpler() func(func(randomImage) bool) {
	return func(yield func(randomImage) bool) {
		for i := range img.layers {
			next := img
			next.layers = slices.Delete(slices.Clone(img.layers), i, i+1)
			next.packing = slices.Delete(slices.Clone(img.packing), i, i+1)
			if !yield(next) {
				return
			}
		}
		for _, change := range []func(*randomImage){
			func(img *randomImage) { img.leftover = nil },
			func(img *randomImage) { img.pace = 0 },
			func(img *randomImage) { img.pace = min(img.pace, 1) },
			func(img *randomImage) { img.host = nil },
			func(img *randomImage) { img.packing = make([]packing, len(img.layers)) },
			func(img *randomImage) { img.allow = nil },
			func(img *randomImage) { img.deny = nil },
			func(img *randomImage) { img.allow = img.allow[:1] },
			func(img *randomImage) { img.keep = "" },
			func(img *randomImage) { img.links = nil },
			func(img *randomImage) { img.mounted = nil },
			func(img *randomImage) { img.owned = nil },
		} {
			if next, ok := changed(img, change); ok && !yield(next) {
				return
			}
		}
		for next := range img.withFewerEntries() {
			if !yield(next) {
				return
			}
		}
		for next := range img.withSimplerEntries() {
			if !yield(next) {
				return
			}
		}
	}
}

// changed returns img after a change, and whether that made it another one.
func changed(img randomImage, change func(*randomImage)) (next randomImage, ok bool) {
	before := img.String()
	defer func() { ok = recover() == nil && next.String() != before }() // an index may be out of range
	next = img
	change(&next)
	return next, true
}

// withFewerEntries yields images that lack one entry.
func (img randomImage) withFewerEntries() func(func(randomImage) bool) {
	return func(yield func(randomImage) bool) {
		for i := range img.host {
			next := img
			next.host = slices.Delete(slices.Clone(img.host), i, i+1)
			if !yield(next) {
				return
			}
		}
		for which, layers := range [][][]entry{img.layers, img.leftover} {
			for i, layer := range layers {
				for j := range layer {
					next := img
					fewer := slices.Clone(layers)
					fewer[i] = slices.Delete(slices.Clone(layer), j, j+1)
					if which == 0 {
						next.layers = fewer
					} else {
						next.leftover = fewer
					}
					if !yield(next) {
						return
					}
				}
			}
		}
	}
}

// withSimplerEntries yields images one of whose entries is plainer.
func (img randomImage) withSimplerEntries() func(func(randomImage) bool) {
	return func(yield func(randomImage) bool) {
		for i, layer := range img.layers {
			for j, e := range layer {
				for _, simplify := range []func(entry) entry{
					func(e entry) entry { e.ModTime = epoch; return e },
					func(e entry) entry { e.Uid, e.Gid = 0, 0; return e },
					func(e entry) entry { e.PAXRecords = nil; return e },
					func(e entry) entry { e.Format = tar.FormatPAX; return e },
					func(e entry) entry { e.content = ""; return e },
					func(e entry) entry { e.content = e.content[:len(e.content)/2]; return e },
					func(e entry) entry {
						e.Mode = map[bool]int64{true: 0o755, false: 0o644}[e.Typeflag == tar.TypeDir]
						return e
					},
					func(e entry) entry {
						if p, err := clean(e.Name); err == nil {
							e.Name = p
						}
						return e
					},
					func(e entry) entry {
						if p, err := clean(e.Linkname); err == nil && e.Typeflag == tar.TypeLink {
							e.Linkname = p
						}
						return e
					},
				} {
					next := img
					next.layers = slices.Clone(img.layers)
					next.layers[i] = slices.Clone(layer)
					next.layers[i][j] = simplify(e)
					if next.String() != img.String() && !yield(next) {
						return
					}
				}
			}
		}
	}
}

// String lists the image for people to read.
func (img randomImage) String() string {
	var b strings.Builder
	if len(img.allow)+len(img.deny) > 0 {
		fmt.Fprintf(&b, "wanted: %q but not %q\n", img.allow, img.deny)
	}
	if img.keep != "" {
		fmt.Fprintf(&b, "the user's data: %q\n", img.keep)
	}
	if len(img.links)+len(img.mounted)+len(img.owned) > 0 {
		fmt.Fprintf(&b, "links of the host: %q, mounted: %q, owned: %q\n", img.links, img.mounted, img.owned)
	}
	if img.pace != 0 {
		fmt.Fprintf(&b, "arriving at pace %d\n", img.pace)
	}
	list(&b, "on the host", img.host)
	for _, layer := range img.leftover {
		list(&b, "extracted before", layer)
	}
	for i, layer := range img.layers {
		list(&b, fmt.Sprintf("layer %d (packing %d)", i+1, img.packing[i]), layer)
	}
	return b.String()
}

func list(b *strings.Builder, title string, entries []entry) {
	if len(entries) == 0 {
		return
	}
	fmt.Fprintf(b, "%s\n", title)
	kinds := map[byte]string{
		tar.TypeReg: "file", tar.TypeDir: "dir", tar.TypeSymlink: "symlink", tar.TypeLink: "hardlink", tar.TypeFifo: "fifo", tar.TypeChar: "device",
	}
	for _, e := range entries {
		kind := kinds[e.Typeflag]
		if kind == "" {
			kind = fmt.Sprintf("type %q", e.Typeflag)
		}
		fmt.Fprintf(b, "\t%-8s %q", kind, e.Name)
		if e.Linkname != "" {
			fmt.Fprintf(b, " -> %q", e.Linkname)
		}
		if e.Typeflag == tar.TypeReg {
			fmt.Fprintf(b, " (%d bytes, %q)", len(e.content), e.content[:min(len(e.content), 8)])
		}
		fmt.Fprintf(b, " %04o", e.Mode)
		if e.Uid != 0 || e.Gid != 0 {
			fmt.Fprintf(b, " of %d:%d", e.Uid, e.Gid)
		}
		if !e.ModTime.Equal(epoch) {
			fmt.Fprintf(b, " at %v", e.ModTime.UTC())
		}
		if len(e.PAXRecords) > 0 {
			fmt.Fprintf(b, " %q", e.PAXRecords)
		}
		fmt.Fprintf(b, " %v\n", e.Format)
	}
}
