package layer_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/drengskapur/fastmcp-runner/internal/layer"
)

// maxContent is how much content of a member is compared: a hole may be longer
// than any memory.
const maxContent = 1 << 20

// standard reads an archive by archive/tar, as layer.ReadMembers does.
func standard(archive []byte) (members []layer.Member, err error) {
	r := tar.NewReader(bytes.NewReader(archive))
	for {
		hdr, err := r.Next()
		if err == io.EOF { //nolint:errorlint // it is the end only as it is
			return members, nil
		}
		if err != nil {
			return members, err
		}
		if hdr.Typeflag == tar.TypeXGlobalHeader {
			members = append(members, layer.GlobalHeader())
			continue
		}
		content, err := io.ReadAll(io.LimitReader(r, maxContent+1))
		if err == nil && len(content) > maxContent {
			err = layer.ErrLimit
		}
		if err != nil {
			return members, err
		}
		members = append(members, layer.Member{
			Flag: hdr.Typeflag, Name: hdr.Name, Link: hdr.Linkname, Size: hdr.Size,
			Mode: hdr.Mode, UID: int64(hdr.Uid), GID: int64(hdr.Gid),
			ModTime:    layer.BoundTime(hdr.ModTime.Unix(), int64(hdr.ModTime.Nanosecond())),
			Attributes: attributes(hdr.PAXRecords), Content: string(content),
		})
	}
}

func attributes(records map[string]string) map[string]string {
	attrs := map[string]string{}
	for key, value := range records {
		if name, ok := strings.CutPrefix(key, "SCHILY.xattr."); ok {
			attrs[name] = value
		}
	}
	if len(attrs) == 0 {
		return nil
	}
	return attrs
}

// compare fails unless an archive is the same to this package and to
// archive/tar: its members, and whether they are all.
func compare(t *testing.T, archive []byte) {
	t.Helper()
	want, wantErr := standard(archive)
	got, err := layer.ReadMembers(archive, true, maxContent)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("members (-archive/tar +layer):\n%s\nerrors: %v, %v", diff, wantErr, err)
	}
	if errors.Is(wantErr, layer.ErrLimit) {
		return // a fault behind a long hole is noticed before it
	}
	if (err == nil) != (wantErr == nil) {
		t.Errorf("error = %v, that of archive/tar is %v", err, wantErr)
	}
	skipped, skippedErr := layer.ReadMembers(archive, false, 0)
	if len(skipped) < len(got) {
		t.Errorf("%d members without reading the content, and %d with", len(skipped), len(got))
	}
	if (err == nil) != (skippedErr == nil) {
		t.Errorf("error = %v without reading the content, and %v with", skippedErr, err)
	}
}

var archives = flag.Uint64("archives", 500, "how many random archives are compared")

func TestRandomArchivesAreReadAsByTheStandardLibrary(t *testing.T) {
	t.Parallel()
	for seed := range *archives {
		archive := newGenerator(seed).archive()
		if compare(t, archive); t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// The archives were written by testdata/tar/make.sh: one tree, by GNU tar,
// bsdtar and Python's tarfile, in all the formats that they know.
func TestArchivesOfRealTools(t *testing.T) {
	t.Parallel()
	names, err := filepath.Glob("testdata/tar/*.tar.gz")
	if err != nil || len(names) != 14 {
		t.Fatalf("%d archives, %v, want 14", len(names), err)
	}
	for _, name := range names {
		t.Run(filepath.Base(name), func(t *testing.T) {
			t.Parallel()
			blob, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			z, err := gzip.NewReader(bytes.NewReader(blob))
			if err != nil {
				t.Fatal(err)
			}
			archive, err := io.ReadAll(z)
			if err != nil {
				t.Fatal(err)
			}
			compare(t, archive)
			checkTree(t, mustRead(t, blob))
		})
	}
}

// checkTree compares with what make.sh packed, as far as the format had room
// for it.
func checkTree(t *testing.T, entries []read) {
	t.Helper()
	var sparse [100 * 4096]byte
	for i := 1; i < 100; i += 4 {
		copy(sparse[i*4096:], fmt.Sprint("fragment ", i))
	}
	dir := strings.Repeat("directory-with-a-long-name/", 4)
	want := map[string]string{
		"d/file": "content", "d/hard": "content", "d/ü": "ü", "d/symlink": "-> " + dir,
		dir + strings.Repeat("n", 120): "long", "sparse": string(sparse[:]),
	}
	got := map[string]string{}
	for _, ent := range entries {
		switch ent.Kind {
		case layer.File:
			got[ent.Path] = ent.Content
		case layer.Symlink:
			got[ent.Path] = "-> " + ent.Linkname
			if strings.HasPrefix(dir, ent.Linkname) { // GNU tar cuts what is too long
				got[ent.Path] = want[ent.Path]
			}
		case layer.HardLink:
			got[ent.Path] = got[ent.Linkname]
		default:
		}
	}
	for path, content := range got {
		if content != want[path] {
			t.Errorf("%q has %.200q, want %.200q", path, content, want[path])
		}
	}
	for _, path := range []string{"d/file", "d/hard", "sparse"} {
		if _, ok := got[path]; !ok {
			t.Errorf("%q is missing", path)
		}
	}
}
