package main

import (
	"archive/tar"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
)

// shape is an image that is made for its size.
type shape struct {
	layers, files int
	bytes         int64 // in all files together
}

// growthBytes is the size of the disks here: of it depends how many inodes
// there are.
const growthBytes = 24 << 30

// writeGrowth measures how the cost grows, one dimension after the other.
func (b *bench) writeGrowth(ctx context.Context, w io.Writer) error {
	t := &table{w: w}
	t.line("%s", b.machine(ctx))
	corpus, err := readCorpus(ctx)
	if err != nil {
		return err
	}
	for _, dimension := range []struct {
		title  string
		shapes []shape
	}{
		{"Layers", []shape{{1, 20e3, 200e6}, {2, 20e3, 200e6}, {5, 20e3, 200e6}, {10, 20e3, 200e6}, {20, 20e3, 200e6}, {50, 20e3, 200e6}, {100, 20e3, 200e6}}},
		{"Files", []shape{{4, 1e2, 100e6}, {4, 1e3, 100e6}, {4, 1e4, 100e6}, {4, 1e5, 100e6}, {4, 1e6, 100e6}}},
		{"Bytes", []shape{{4, 1e3, 10e6}, {4, 1e3, 100e6}, {4, 1e3, 1e9}, {4, 1e3, 5e9}}},
	} {
		t.line("\n#### %s\n", dimension.title)
		t.header("layers", "files", "bytes in them, MB", "compressed, MB", "wall s (least-most)", "CPU s", "peak RSS MiB", "written MB")
		for _, s := range dimension.shapes {
			if err := b.grow(ctx, t, s, corpus); err != nil {
				return err
			}
		}
	}
	return t.err
}

// grow measures one shape and writes its line.
func (b *bench) grow(ctx context.Context, t *table, s shape, corpus []byte) error {
	dir := filepath.Join(b.dir, "layers")
	if err := writeLayers(dir, likeDocker, s.contents(corpus)); err != nil {
		return err
	}
	ls, err := readLayers(dir)
	if err != nil {
		return err
	}
	if err := b.store.push(ctx, "growth", ls); err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	name := fmt.Sprintf("%d layers, %d files, %d MB", s.layers, s.files, s.bytes/1e6)
	r, err := b.play(ctx, scenario{name: name, tag: "growth", diskBytes: growthBytes, contestants: []contestant{b.ours("allowlist")}})
	if err != nil {
		return err
	}
	wall := r.of(0, wallOf)
	t.row(strconv.Itoa(s.layers), strconv.Itoa(s.files), strconv.FormatInt(s.bytes/1e6, 10), fmt.Sprintf("%.0f", float64(ls.bytes())/1e6),
		fmt.Sprintf("%.2f (%.2f-%.2f)", wall.median, wall.least, wall.most), fmt.Sprintf("%.2f", r.of(0, cpuOf).median),
		fmt.Sprintf("%.0f", r.of(0, rssOf).median), fmt.Sprintf("%.0f", r.of(0, diskOf).median))
	return nil
}

// contents are the layers of a shape: files of one size, each a part of the
// corpus, a few in each directory.
func (s shape) contents(corpus []byte) []content {
	const perDir = 16
	var all []content
	for layer := range s.layers {
		all = append(all, func(w *tar.Writer) error {
			for i := layer * s.files / s.layers; i < (layer+1)*s.files/s.layers; i++ {
				name := fmt.Sprintf("app/%03d/%05d/", layer, i/perDir)
				if i%perDir == 0 {
					if err := dir(name[:len(name)-1])(w); err != nil {
						return err
					}
				}
				if err := piece(w, name+strconv.Itoa(i), corpus, i, s.bytes/int64(s.files)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return all
}

// piece writes a file of n bytes of the corpus, from another place for each i.
func piece(w *tar.Writer, name string, corpus []byte, i int, n int64) error {
	if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: n}); err != nil {
		return err
	}
	const stride = 65537 // A prime, so that the places do not repeat soon.
	for at := i * stride % len(corpus); n > 0; at = 0 {
		part := corpus[at:min(int64(len(corpus)), int64(at)+n)]
		if _, err := w.Write(part); err != nil {
			return err
		}
		n -= int64(len(part))
	}
	return nil
}

// readCorpus returns text as packages hold it: several times what a gzip
// window remembers.
func readCorpus(ctx context.Context) ([]byte, error) {
	modules, err := nodeModules(ctx)
	if err != nil {
		return nil, err
	}
	const enough = 32 << 20
	var corpus []byte
	err = filepath.WalkDir(modules, func(file string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		body, err := os.ReadFile(file)
		if corpus = append(corpus, body...); len(corpus) >= enough {
			return fs.SkipAll
		}
		return err
	})
	return corpus, err
}
