package layer_test

import (
	"archive/tar"
	"bytes"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/drengskapur/fastmcp-runner/internal/layer"
)

// fuzzLimits keep an execution short; every property holds for any limits.
func fuzzLimits() layer.Limits { return layer.Limits{Bytes: 1 << 20, Entries: 64} }

// FuzzReader reads arbitrary archives: uncompressed, compressed, and in single
// bytes, which must all come to the same.
func FuzzReader(f *testing.F) {
	f.Fuzz(func(t *testing.T, archive []byte) {
		archive = resealed(archive)
		if looksCompressed(archive) {
			t.Skip("FuzzDecompress reads these")
		}
		entries, err := readAll(bytes.NewReader(archive), fuzzLimits())
		checkEntries(t, entries)
		same(t, entries, err, iotest.OneByteReader(bytes.NewReader(archive)))
		same(t, entries, err, bytes.NewReader(gzipped(archive)))
		if err == nil {
			rewrite(t, entries)
		}
	})
}

// FuzzDecompress reads arbitrary blobs.
func FuzzDecompress(f *testing.F) {
	f.Fuzz(func(t *testing.T, blob []byte) {
		entries, err := readAll(bytes.NewReader(blob), fuzzLimits())
		checkEntries(t, entries)
		same(t, entries, err, iotest.HalfReader(bytes.NewReader(blob)))
		same(t, entries, err, iotest.DataErrReader(bytes.NewReader(blob)))
	})
}

// FuzzTar holds the parser against archive/tar.
func FuzzTar(f *testing.F) {
	for seed := range uint64(100) {
		f.Add(newGenerator(seed).archive())
	}
	f.Fuzz(func(t *testing.T, archive []byte) {
		archive = resealed(archive)
		if looksCompressed(archive) {
			t.Skip("archive/tar reads no compressed ones")
		}
		compare(t, archive)
	})
}

// resealed returns a copy of archive in which all that looks like a header has
// the right checksum, so that the fuzzer need not find it.
func resealed(archive []byte) []byte {
	archive = bytes.Clone(archive)
	for block := range slices.Chunk(archive, blockSize) {
		if len(block) == blockSize && (string(block[257:262]) == "ustar" || string(block[154:156]) == "\x00 ") {
			sealed(block)
		}
	}
	return archive
}

func looksCompressed(b []byte) bool {
	return bytes.HasPrefix(b, []byte("\x1f\x8b")) || bytes.HasPrefix(b, []byte("\x28\xb5\x2f\xfd")) ||
		len(b) >= 4 && string(b[1:4]) == "\x2a\x4d\x18"
}

// checkEntries holds what every caller relies on.
func checkEntries(t *testing.T, entries []read) {
	t.Helper()
	lim := fuzzLimits()
	if int64(len(entries)) > lim.Entries {
		t.Errorf("%d entries, more than the limit of %d", len(entries), lim.Entries)
	}
	var content int64
	for _, ent := range entries {
		content += ent.Size
		if int64(len(ent.Content)) != ent.Size {
			t.Errorf("%v has %d bytes of content, its size is %d", ent, len(ent.Content), ent.Size)
		}
		checkPath(t, ent.Path)
		checkEntry(t, ent.Entry)
	}
	if content > lim.Bytes {
		t.Errorf("%d bytes of content, more than the limit of %d", content, lim.Bytes)
	}
}

func checkEntry(t *testing.T, ent layer.Entry) {
	t.Helper()
	switch ent.Kind {
	case layer.Dir, layer.OpaqueWhiteout:
	case layer.File, layer.Whiteout, layer.Fifo, layer.Device, layer.Unknown:
		if ent.Path == "" {
			t.Errorf("the root is a %s", ent.Kind)
		}
	case layer.HardLink:
		checkPath(t, ent.Linkname)
		if ent.Path == "" || ent.Linkname == "" {
			t.Errorf("hard link %q -> %q", ent.Path, ent.Linkname)
		}
	case layer.Symlink:
		if ent.Path == "" || ent.Linkname == "" || len(ent.Linkname) > 4095 {
			t.Errorf("symbolic link %q -> %q", ent.Path, ent.Linkname)
		}
	default:
		t.Errorf("%q is of kind %d", ent.Path, ent.Kind)
	}
	if ent.Mode&^0o7777 != 0 || ent.UID < 0 || ent.GID < 0 || ent.UID >= 1<<32-1 || ent.GID >= 1<<32-1 {
		t.Errorf("%q has mode %o and owner %d:%d", ent.Path, ent.Mode, ent.UID, ent.GID)
	}
}

// checkPath fails unless p is relative, clean, and below the root.
func checkPath(t *testing.T, p string) {
	t.Helper()
	if p == "" {
		return
	}
	for component := range strings.SplitSeq(p, "/") {
		switch {
		case component == "", component == ".", component == "..", len(component) > 255:
			t.Errorf("path %q has the element %q", p, component)
		}
	}
	if len(p) > 4095 || strings.Contains(p, "\x00") {
		t.Errorf("path %q is too long or holds a NUL byte", p)
	}
}

// same fails unless blob gives the same entries and the same verdict.
func same(t *testing.T, want []read, wantErr error, blob io.Reader) {
	t.Helper()
	got, err := readAll(blob, fuzzLimits())
	if fmt.Sprint(err) != fmt.Sprint(wantErr) {
		t.Errorf("error = %v, and %v before", err, wantErr)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("entries differ (-before +now):\n%s", diff)
	}
}

// rewrite writes entries by archive/tar and reads them again.
func rewrite(t *testing.T, entries []read) {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, ent := range entries {
		hdr := header(ent.Entry)
		if hdr == nil || w.WriteHeader(hdr) != nil {
			return // what archive/tar does not write proves nothing
		}
		if _, err := io.WriteString(w, ent.Content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := readAll(&b, layer.Limits{})
	if err != nil {
		t.Fatalf("reading what was read once and written again: %v", err)
	}
	if diff := cmp.Diff(entries, got); diff != "" {
		t.Errorf("entries (-written +read):\n%s", diff)
	}
}

// header is the inverse of reading, nil for what has none.
func header(ent layer.Entry) *tar.Header {
	flags := map[layer.Kind]byte{
		layer.Dir: tar.TypeDir, layer.File: tar.TypeReg, layer.Symlink: tar.TypeSymlink,
		layer.HardLink: tar.TypeLink, layer.Fifo: tar.TypeFifo, layer.Device: tar.TypeChar,
	}
	flag, ok := flags[ent.Kind]
	if !ok {
		return nil
	}
	records := map[string]string{}
	for name, value := range ent.Xattrs {
		records["SCHILY.xattr."+name] = value
	}
	return &tar.Header{
		Format: tar.FormatPAX, Typeflag: flag, Name: "./" + ent.Path, Linkname: ent.Linkname, Size: ent.Size,
		Mode: int64(ent.Mode), Uid: ent.UID, Gid: ent.GID, ModTime: ent.ModTime, PAXRecords: records,
	}
}

// corpus holds the crafted cases that the fuzz targets begin with: archives
// without their trailers, which only make them longer.
func corpus() map[string]map[string][]byte {
	file := member{name: "a", body: "content"}.bytes()
	return map[string]map[string][]byte{
		"FuzzReader": {
			"whiteouts":     join(member{name: "a/.wh.x"}.bytes(), member{name: ".wh..wh..opq"}.bytes()),
			"no_whiteout":   member{name: ".wh..."}.bytes(),
			"aufs":          member{name: ".wh..wh.plnk/1", body: "x"}.bytes(),
			"below_marker":  member{name: ".wh.a/b"}.bytes(),
			"root":          member{name: "./", flag: '5'}.bytes(),
			"root_link":     member{name: ".", flag: '2', link: "x"}.bytes(),
			"leaves_root":   member{name: "a/../../x"}.bytes(),
			"unclean":       member{name: "/.//a/../b/"}.bytes(),
			"hard_link":     member{name: "h", flag: '1', link: ".//a"}.bytes(),
			"hard_link_out": member{name: "h", flag: '1', link: "../a"}.bytes(),
			"symlink":       member{name: "s", flag: '2', link: "../../a"}.bytes(),
			"old_type":      member{name: "d/", flag: nul, mode: 0o6755}.bytes(),
			"device":        member{name: "dev/null", flag: '3'}.bytes(),
			"unknown":       member{name: "v", flag: 'V', body: "x"}.bytes(),
			"global":        member{name: "g", flag: 'g', body: paxRecord("path", "x")}.bytes(),
			"gnu_long":      join(gnuLong('L', "long/name"), file),
			"pax":           join(pax("path", "p", "mtime", "-1.5", "uid", "4294967295", "SCHILY.xattr.user.a", "1"), file),
			"sparse":        oldSparse("s", 1<<40, "x"),
			"pax_sparse": join(pax("GNU.sparse.major", "0", "GNU.sparse.minor", "1", "GNU.sparse.name", "a\x00b",
				"GNU.sparse.numblocks", "0", "GNU.sparse.size", "9"), member{name: "x"}.bytes()),
			"truncated": file[:blockSize+3],
		},
		"FuzzDecompress": {
			"empty":         {},
			"gzip":          gzipped(file),
			"gzip_members":  join(gzipped(file[:100]), gzipped(file[100:])),
			"gzip_padding":  join(gzipped(file), make([]byte, 9)),
			"gzip_garbage":  join(gzipped(file), []byte("x")),
			"gzip_cut":      gzipped(file)[:40],
			"zstd":          zstandard(file),
			"zstd_frames":   join(skippableFrame(), zstandard(file[:100]), zstandard(file[100:]), skippableFrame()),
			"zstd_garbage":  join(zstandard(file), []byte("garbage")),
			"zstd_cut":      zstandard(file)[:40],
			"zstd_window":   []byte("\x28\xb5\x2f\xfd\x00\x90\x01\x00\x00"),
			"gzip_of_gzip":  gzipped(gzipped(file)),
			"no_tar":        []byte("<html>"),
			"gzip_bomb":     gzipped(make([]byte, 2<<20)),
			"zstd_bomb":     zstandard(make([]byte, 2<<20)),
			"zstd_dict":     []byte("\x28\xb5\x2f\xfd\x01\x00\x07\x01\x00\x00"),
			"only_skipping": skippableFrame(),
		},
	}
}

var update = flag.Bool("update", false, "write the corpora of the fuzz targets anew")

// TestCorpus makes sure that every crafted case is committed; go test runs the
// committed ones with the fuzz targets.
func TestCorpus(t *testing.T) {
	t.Parallel()
	for target, cases := range corpus() {
		dir := filepath.Join("testdata", "fuzz", target)
		for _, name := range slices.Sorted(maps.Keys(cases)) {
			file := filepath.Join(dir, name)
			if *update {
				writeCase(t, file, cases[name])
			}
			if _, err := os.Stat(file); err != nil {
				t.Errorf("%v; write it by go test -run TestCorpus -update", err)
			}
		}
	}
}

func writeCase(t *testing.T, file string, content []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("go test fuzz v1\n[]byte(%q)\n", content)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
