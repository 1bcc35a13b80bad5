package layer_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
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

func TestRandomArchivesAreReadAsByTheStandardLibrary(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3000) {
		archive := generator{rand.New(rand.NewPCG(seed, 1))}.archive()
		if compare(t, archive); t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}
