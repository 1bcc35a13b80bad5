package extract_test

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/drengskapur/fastmcp-runner/internal/extract"
	"github.com/drengskapur/fastmcp-runner/internal/rootfs"
)

// epoch is the modification time of all entries that do not say another.
var epoch = time.Unix(1_700_000_000, 0)

// The entries of the layers under test: a header, and the content of a file.
type entry struct {
	tar.Header

	content string
}

func file(name, content string) entry {
	return entry{Header: tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644}, content: content}
}

func dir(name string) entry {
	return entry{Header: tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: 0o755}}
}

func symlink(name, target string) entry {
	return entry{Header: tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target, Mode: 0o777}}
}

func hardlink(name, target string) entry {
	return entry{Header: tar.Header{Typeflag: tar.TypeLink, Name: name, Linkname: target, Mode: 0o644}}
}

func (e entry) mode(mode int64) entry  { e.Mode = mode; return e }
func (e entry) owner(id int) entry     { e.Uid, e.Gid = id, id; return e }
func (e entry) time(t time.Time) entry { e.ModTime = t; return e }
func (e entry) device() entry          { e.Typeflag = tar.TypeChar; return e }
func (e entry) fifo() entry            { e.Typeflag = tar.TypeFifo; return e }
func (e entry) xattr(k, v string) entry {
	e.PAXRecords = map[string]string{"SCHILY.xattr." + k: v}
	return e
}

// pack makes a plain tar of the entries.
func pack(tb testing.TB, entries ...entry) []byte {
	tb.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, e := range entries {
		hdr := e.Header
		if hdr.ModTime.IsZero() {
			hdr.ModTime = epoch
		}
		hdr.Size = int64(len(e.content))
		if err := w.WriteHeader(&hdr); err != nil {
			tb.Fatalf("cannot write the header of %q: %v", hdr.Name, err)
		}
		if _, err := io.WriteString(w, e.content); err != nil {
			tb.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return buf.Bytes()
}

// image makes layers, the lowest first, that are served from memory.
func image(tb testing.TB, layers ...[]entry) []extract.Layer {
	tb.Helper()
	var img []extract.Layer
	for i, entries := range layers {
		img = append(img, blob(fmt.Sprintf("sha256:%d", i), pack(tb, entries...)))
	}
	return img
}

func blob(digest string, content []byte) extract.Layer {
	return extract.Layer{Digest: digest, Open: func(context.Context) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(content)), nil
	}}
}

func everything(string) bool { return true }

// underApp is an allowlist of two directories, as small as the tests need.
func underApp(p string) bool {
	return p == "app" || p == "data" || strings.HasPrefix(p, "app/") || strings.HasPrefix(p, "data/")
}

func isData(p string) bool { return p == "data" || strings.HasPrefix(p, "data/") }

// options are what most tests use: everything is wanted, nobody's data exists,
// generous limits.
func options() extract.Options {
	return extract.Options{Wanted: everything, MayChown: os.Geteuid() == 0, MaxBytes: 1 << 30, MaxEntries: 100_000}
}

// run extracts img below a new root that holds the lines of before (see
// populate), and returns that root.
func run(tb testing.TB, before []string, img []extract.Layer, opts extract.Options) (string, extract.Report, error) {
	tb.Helper()
	top := tb.TempDir()
	name := filepath.Join(top, "root")
	if err := os.Mkdir(name, 0o755); err != nil {
		tb.Fatal(err)
	}
	populate(tb, name, before)
	root, err := rootfs.Open(name)
	if err != nil {
		tb.Fatal(err)
	}
	defer root.Close()
	report, err := extract.Extract(tb.Context(), root, img, opts)
	return name, report, err
}

// populate makes a tree: "dir/" is a directory, "a -> b" a symbolic link,
// "a = text" a file.
func populate(tb testing.TB, root string, lines []string) {
	tb.Helper()
	for _, line := range lines {
		var err error
		if name, target, ok := strings.Cut(line, " -> "); ok {
			err = os.Symlink(target, filepath.Join(root, name))
		} else if name, content, ok := strings.Cut(line, " = "); ok {
			err = os.WriteFile(filepath.Join(root, name), []byte(content), 0o644)
		} else {
			err = os.MkdirAll(filepath.Join(root, line), 0o755)
		}
		if err != nil {
			tb.Fatal(err)
		}
	}
}

// dump describes every path below root: "dir 0755", "file 0644 content",
// "symlink ../x", "fifo 0644"; the second and later names of an inode end in
// "= first".
func dump(tb testing.TB, root string) map[string]string {
	tb.Helper()
	tree := map[string]string{}
	first := map[uint64]string{}
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil || rel == "." {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		tree[rel] = describe(tb, name, info)
		stat, ok := info.Sys().(*syscall.Stat_t)
		if ok && stat.Nlink > 1 && !d.IsDir() {
			if other, ok := first[stat.Ino]; ok {
				tree[rel] += " = " + other
			} else {
				first[stat.Ino] = rel
			}
		}
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
	return tree
}

func describe(tb testing.TB, name string, info fs.FileInfo) string {
	tb.Helper()
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		tb.Fatalf("no stat of %s", name)
	}
	perm := fmt.Sprintf("%04o", stat.Mode&0o7777)
	switch info.Mode().Type() {
	case fs.ModeDir:
		return "dir " + perm
	case fs.ModeSymlink:
		target, err := os.Readlink(name)
		if err != nil {
			tb.Fatal(err)
		}
		return "symlink " + target
	case fs.ModeNamedPipe:
		return "fifo " + perm
	case 0:
		content, err := os.ReadFile(name)
		if err != nil {
			tb.Fatal(err)
		}
		return "file " + perm + " " + string(content)
	default:
		return info.Mode().String()
	}
}
