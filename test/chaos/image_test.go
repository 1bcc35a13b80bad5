package chaos_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/zstd"
)

var platform = v1.Platform{OS: "linux", Architecture: "amd64", Variant: "v1"}

// tree is what lies below a directory: "dir 0755", "file 0644 8f434346", "link
// TARGET", by path. A file with several names says which of them comes first.
type tree map[string]string

// text is content that compresses, noise is content that does not.
func text(size int) string {
	return strings.Repeat("The quick brown fox jumps over the lazy dog. ", size/45+1)[:size]
}

func noise(seed uint64, size int) string {
	rnd := rand.New(rand.NewPCG(seed, 0))
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(rnd.Uint32())
	}
	return string(b)
}

func file(name, content string) (*tar.Header, string) {
	return &tar.Header{Name: name, Mode: 0o644, Size: int64(len(content))}, content
}

func dir(name string) (*tar.Header, string) {
	return &tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: 0o755}, ""
}

func symlink(name, target string) (*tar.Header, string) {
	return &tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target}, ""
}

func hardlink(name, target string) (*tar.Header, string) {
	return &tar.Header{Typeflag: tar.TypeLink, Name: name, Linkname: target}, ""
}

// archive is a layer under construction.
type archive struct {
	t   *testing.T
	buf bytes.Buffer
	w   *tar.Writer
}

func newArchive(t *testing.T) *archive {
	t.Helper()
	a := &archive{t: t}
	a.w = tar.NewWriter(&a.buf)
	return a
}

func (a *archive) add(header *tar.Header, content string) {
	a.t.Helper()
	if err := a.w.WriteHeader(header); err != nil {
		a.t.Fatal(err)
	}
	if _, err := io.WriteString(a.w, content); err != nil {
		a.t.Fatal(err)
	}
}

// compress ends the layer and compresses it.
func (a *archive) compress(mediaType types.MediaType, writer func(io.Writer) (io.WriteCloser, error)) v1.Layer {
	a.t.Helper()
	if err := a.w.Close(); err != nil {
		a.t.Fatal(err)
	}
	var blob bytes.Buffer
	w, err := writer(&blob)
	if err != nil {
		a.t.Fatal(err)
	}
	if _, err := w.Write(a.buf.Bytes()); err != nil {
		a.t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		a.t.Fatal(err)
	}
	return static.NewLayer(blob.Bytes(), mediaType)
}

func byGzip(w io.Writer) (io.WriteCloser, error) { return gzip.NewWriter(w), nil }
func byZstd(w io.Writer) (io.WriteCloser, error) { return zstd.NewWriter(w) }
func byNothing(w io.Writer) (io.WriteCloser, error) {
	return struct {
		io.Writer
		io.Closer
	}{w, io.NopCloser(nil)}, nil
}

// newImage returns an image of few but different layers, and the tree that it
// is.
func newImage(t *testing.T) (v1.Image, tree) {
	t.Helper()
	base := newArchive(t)
	base.add(dir("app/"))
	base.add(file("app/main", text(3000)))
	base.add(file("app/old", "replaced"))
	base.add(file("app/gone", "hidden"))
	base.add(file("app/cache/a", noise(1, 30_000)))
	base.add(file("app/cache/b", text(60_000)))
	base.add(symlink("bin", "usr/bin"))
	base.add(file("usr/bin/tool", noise(2, 20_000)))
	base.add(hardlink("usr/bin/same", "usr/bin/tool"))
	for i := range 6 {
		base.add(file(fmt.Sprintf("usr/lib/many/f%d", i), text(100*i)))
	}

	middle := newArchive(t)
	middle.add(file("app/old", text(5000)))
	middle.add(file("bin/more", noise(3, 30_000))) // Through the link of the layer below.
	middle.add(hardlink("app/tool", "usr/bin/tool"))

	hide := newArchive(t)
	hide.add(file("app/.wh.gone", ""))
	hide.add(file("app/cache/.wh..wh..opq", ""))
	hide.add(file("app/cache/c", "new"))
	hide.add(file("usr/lib/many/f3/now", "a directory"))

	large := newArchive(t)
	large.add(file("app/model", noise(4, 250_000)))
	large.add(file("app/end", "end"))

	img, err := mutate.AppendLayers(empty.Image,
		base.compress(types.DockerLayer, byGzip),
		middle.compress(types.OCILayerZStd, byZstd),
		hide.compress(types.OCIUncompressedLayer, byNothing),
		large.compress(types.OCILayer, byGzip))
	if err != nil {
		t.Fatal(err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config.OS, config.Architecture = platform.OS, platform.Architecture
	config.Config.Entrypoint = []string{"/app/main"}
	if img, err = mutate.ConfigFile(img, config); err != nil {
		t.Fatal(err)
	}
	tool := describeFile(0o644, noise(2, 20_000))
	want := tree{
		"app": "dir 0755", "app/main": describeFile(0o644, text(3000)), "app/old": describeFile(0o644, text(5000)),
		"app/tool": tool, "app/cache": "dir 0755", "app/cache/c": describeFile(0o644, "new"),
		"app/model": describeFile(0o644, noise(4, 250_000)), "app/end": describeFile(0o644, "end"),
		"bin": "link usr/bin", "usr": "dir 0755", "usr/bin": "dir 0755", "usr/bin/more": describeFile(0o644, noise(3, 30_000)),
		"usr/bin/tool": tool + " = app/tool", "usr/bin/same": tool + " = app/tool",
		"usr/lib": "dir 0755", "usr/lib/many": "dir 0755",
	}
	for i := range 6 {
		want[fmt.Sprintf("usr/lib/many/f%d", i)] = describeFile(0o644, text(100*i))
	}
	want["usr/lib/many/f3"] = "dir 0755"
	want["usr/lib/many/f3/now"] = describeFile(0o644, "a directory")
	return img, want
}

func describeFile(mode fs.FileMode, content string) string {
	sum := sha256.Sum256([]byte(content))
	return fmt.Sprintf("file %04o %x", mode, sum[:4])
}

// readTree returns what lies below a directory.
func readTree(top string) (tree, error) {
	got := tree{}
	names := map[uint64]string{} // The first name of each file, by inode.
	err := filepath.WalkDir(top, func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == top {
			return err
		}
		rel, err := filepath.Rel(top, name)
		if err != nil {
			return err
		}
		got[rel], err = describe(name, rel, d, names)
		return err
	})
	return got, err
}

func describe(name, rel string, d fs.DirEntry, names map[uint64]string) (string, error) {
	info, err := d.Info()
	if err != nil {
		return "", err
	}
	switch {
	case d.IsDir():
		return fmt.Sprintf("dir %04o", info.Mode().Perm()), nil
	case d.Type() == fs.ModeSymlink:
		target, err := os.Readlink(name)
		return "link " + target, err
	case !d.Type().IsRegular():
		return "a " + d.Type().String(), nil
	}
	content, err := os.ReadFile(name)
	if err != nil {
		return "", err
	}
	text := describeFile(info.Mode().Perm(), string(content))
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return text, nil
	}
	if first, ok := names[stat.Ino]; ok {
		return text + " = " + first, nil
	}
	names[stat.Ino] = rel
	return text, nil
}
