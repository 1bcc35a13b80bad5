package layer_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"github.com/drengskapur/fastmcp-runner/internal/layer"
)

// small is an archive of a directory and two files.
func small() []byte {
	return join(
		member{name: "d/", flag: '5'}.bytes(),
		member{name: "d/a", body: strings.Repeat("content ", 200)}.bytes(),
		member{name: "b", body: "b"}.bytes(),
		trailer())
}

// cut splits content in two, in the middle of a header.
func cut(content []byte) (first, second []byte) {
	return content[:700], content[700:]
}

func skippableFrame() []byte {
	return []byte("\x53\x2a\x4d\x18\x04\x00\x00\x00skip")
}

func TestCompression(t *testing.T) {
	t.Parallel()
	first, second := cut(small())
	tests := []struct {
		name string
		blob []byte
	}{
		{"trap 31: plain", small()},
		{"trap 31: gzip", gzipped(small())},
		{"trap 31: zstd", zstandard(small())},
		{"trap 28: GNU tar's padding to 10 KiB", join(small(), make([]byte, 10240-len(small())))},
		{"trap 28: padding below gzip", gzipped(join(small(), make([]byte, 1<<20)))},
		{"trap 28: whatever follows the end of the archive is skipped", zstandard(join(small(), []byte("anything")))},
		{"trap 28: zeros after the last gzip member", join(gzipped(small()), make([]byte, 100_000))},
		{"trap 28: several gzip members", join(gzipped(first), gzipped(second))},
		{"trap 28: zeros after several gzip members", join(gzipped(first), gzipped(second), make([]byte, 9))},
		{"trap 28: an empty gzip member between others", join(gzipped(first), gzipped(nil), gzipped(second), gzipped(nil))},
		{"trap 28: several zstd frames", join(zstandard(first), zstandard(second))},
		{"trap 28: skippable zstd frames", join(skippableFrame(), zstandard(first), skippableFrame(), zstandard(second), skippableFrame())},
		{"zstd without a checksum", zstandard(small(), zstd.WithEncoderCRC(false))},
		{"an archive without its trailer", small()[:len(small())-2*blockSize]},
		{"an archive with half a trailer", small()[:len(small())-blockSize]},
	}
	want := lines(mustRead(t, small()))
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(want, lines(mustRead(t, tt.blob))); diff != "" {
				t.Errorf("entries (-want +got):\n%s", diff)
			}
		})
	}
}

func TestEmptyLayers(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		blob []byte
	}{
		{"trap 32: no bytes", nil},
		{"trap 32: only a trailer", trailer()},
		{"trap 32: a gzipped trailer", gzipped(trailer())},
		{"trap 32: gzip of nothing", gzipped(nil)},
		{"trap 32: zstd of nothing", zstandard(nil)},
		{"trap 32: a single block of zeros", make([]byte, blockSize)},
		{"trap 32: only a skippable frame", skippableFrame()},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := mustRead(t, tt.blob); len(got) != 0 {
				t.Errorf("entries = %v, want none", lines(got))
			}
		})
	}
}

// Old archivers added up the bytes of a header as signed ones.
func TestSignedChecksum(t *testing.T) {
	t.Parallel()
	block := member{name: "\xff"}.bytes()
	sum, err := strconv.ParseInt(string(block[148:154]), 8, 64)
	if err != nil {
		t.Fatal(err)
	}
	copy(block[148:], fmt.Sprintf("%06o\x00 ", sum-256))
	if diff := cmp.Diff([]string{`file "\xff"`}, lines(mustRead(t, block))); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
}

func TestRefusedBlobs(t *testing.T) {
	t.Parallel()
	const noTar = "it is not a tar archive, plain or compressed with gzip or zstd: its content begins with "
	flipped := func(b []byte, i int) []byte {
		b[i] ^= 1
		return b
	}
	gz, zs := gzipped(small()), zstandard(small())
	tests := []struct {
		name string
		blob []byte
		want string
	}{
		{"trap 31: a web page", []byte("<html>" + strings.Repeat(" ", 1000)), noTar + `"<html>          "`},
		{"trap 31: less than a block", []byte(`{"a":1}`), noTar + `"{\"a\":1}"`},
		{"trap 31: xz", []byte("\xfd7zXZ\x00\x00\x04"), noTar + `"\xfd7zXZ\x00\x00\x04"`},
		{"trap 31: gzip of no tar", gzipped([]byte("hello")), noTar + `"hello"`},
		{"trap 31: gzip within gzip", gzipped(gzipped(small())), noTar + `"\x1f\x8b`},
		{"trap 31: a tar whose first checksum is wrong", flipped(small(), 0), noTar + `"e/`},
		{"trap 28: garbage after the last gzip member", join(gz, []byte("x")), "cannot read to the layer's end: unexpected EOF"},
		{"trap 28: a long garbage after the last gzip member", join(gz, small()), "cannot decompress gzip data: no gzip header"},
		{"trap 28: half the magic of another gzip member", join(gz, []byte("\x1f")), "cannot read to the layer's end: unexpected EOF"},
		{"a second gzip member that is cut off", join(gz, []byte("\x1f\x8b")), "cannot read to the layer's end: unexpected EOF"},
		{"trap 28: garbage after zero padding", join(gz, make([]byte, 99_999), []byte("x")), "data behind the padding"},
		{"trap 28: a gzip member after zero padding", join(gz, []byte{0}, gz), "data behind the padding"},
		{"trap 28: garbage after the last zstd frame", join(zs, []byte("garbage")), "cannot read to the layer's end: invalid input: magic number mismatch"},
		{"a wrong gzip checksum", flipped(gzipped(small()), len(gz)-8), "wrong checksum"},
		{"a wrong gzip length", flipped(gzipped(small()), len(gz)-1), "wrong length"},
		{"a wrong zstd checksum", flipped(zstandard(small()), len(zs)-1), "CRC check failed"},
		{"a broken gzip header", []byte("\x1f\x8b\x07"), "unexpected EOF"},
		{"gzip with an unknown method", flipped(gzipped(small()), 2), "unknown compression method"},
		{"trap 30: a zstd window of 256 MiB", []byte("\x28\xb5\x2f\xfd\x00\x90\x01\x00\x00"), "a frame needs more than 134217728 bytes of memory"},
		{"a zstd dictionary", []byte("\x28\xb5\x2f\xfd\x01\x00\x07\x01\x00\x00"), "dictionary"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := readAll(bytes.NewReader(tt.blob), layer.Limits{})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error = %v, want %s", err, tt.want)
			}
		})
	}
}

// endings are the layers whose every truncation is tried.
func endings() map[string][]byte {
	first, second := cut(small())
	return map[string][]byte{
		"plain":           small(),
		"gzip":            gzipped(small()),
		"two members":     join(gzipped(first), gzipped(second)),
		"zstd":            zstandard(small()),
		"two zstd frames": join(zstandard(first), skippableFrame(), zstandard(second)),
	}
}

func TestBlobErrorsAreNeverTheEnd(t *testing.T) {
	t.Parallel()
	errs := map[string]error{
		"its own error":         errors.New("the digest is wrong"),
		"unexpected EOF":        io.ErrUnexpectedEOF,
		"an error of a lost io": fmt.Errorf("connection lost: %w", io.EOF),
	}
	for kind, blob := range endings() {
		for name, want := range errs {
			t.Run("trap 29: "+kind+" that fails with "+name, func(t *testing.T) {
				t.Parallel()
				for n := range len(blob) + 1 {
					failing := io.MultiReader(bytes.NewReader(blob[:n]), iotest.ErrReader(want))
					if _, err := readAll(failing, layer.Limits{}); isEnd(err) || !errors.Is(err, want) {
						t.Fatalf("after %d of %d bytes: error = %v, want %v", n, len(blob), err, want)
					}
				}
			})
		}
	}
}

func TestTruncation(t *testing.T) {
	t.Parallel()
	for kind, blob := range endings() {
		if kind == "plain" {
			continue // a shorter archive can be one; only its digest tells
		}
		t.Run("trap 29: "+kind, func(t *testing.T) {
			t.Parallel()
			for n := 1; n < len(blob); n++ {
				if entries, err := readAll(bytes.NewReader(blob[:n]), layer.Limits{}); err == nil {
					t.Fatalf("the first %d of %d bytes were read as a whole layer: %v", n, len(blob), lines(entries))
				}
			}
		})
	}
	for _, n := range []int{100, blockSize + 100, 2 * blockSize, 2*blockSize + 100} {
		t.Run(fmt.Sprintf("trap 29: plain, cut within an entry after %d bytes", n), func(t *testing.T) {
			t.Parallel()
			if entries, err := readAll(bytes.NewReader(small()[:n]), layer.Limits{}); err == nil {
				t.Errorf("the layer was read as whole: %v", lines(entries))
			}
		})
	}
}

// endReader notes that its end was read.
type endReader struct {
	r     io.Reader
	ended bool
}

func (e *endReader) Read(p []byte) (int, error) {
	n, err := e.r.Read(p)
	e.ended = e.ended || isEnd(err)
	return n, err
}

func TestEndIsTheBlobsEnd(t *testing.T) {
	t.Parallel()
	for kind, blob := range endings() {
		t.Run("trap 28: "+kind, func(t *testing.T) {
			t.Parallel()
			blob := &endReader{r: iotest.OneByteReader(bytes.NewReader(blob))}
			if _, err := readAll(blob, layer.Limits{}); err != nil {
				t.Fatal(err)
			}
			if !blob.ended {
				t.Error("Next returned io.EOF before the blob did")
			}
		})
	}
}

func TestSkippedContent(t *testing.T) {
	t.Parallel()
	r := layer.NewReader(bytes.NewReader(gzipped(small())), layer.Limits{})
	defer r.Close()
	if c, err := r.Chunk(); len(c.Data) > 0 || !isEnd(err) {
		t.Errorf("Chunk before Next = %q, %v, want EOF", c.Data, err)
	}
	var names []string
	for {
		ent, err := r.Next()
		if isEnd(err) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, ent.Path)
		c, err := r.Chunk() // the first of each file, and only that
		if err != nil && !isEnd(err) {
			t.Fatal(err)
		}
		c.Release()
	}
	if diff := cmp.Diff([]string{"d", "d/a", "b"}, names); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
	if got, want := r.Used(), (layer.Usage{Bytes: int64(len(small())), Entries: 3}); got != want {
		t.Errorf("Used() = %+v, want %+v", got, want)
	}
}

func TestErrorsAreFinal(t *testing.T) {
	t.Parallel()
	r := layer.NewReader(bytes.NewReader(join(member{name: "../x"}.bytes(), member{name: "a"}.bytes())), layer.Limits{})
	_, first := r.Next()
	_, second := r.Next()
	if first == nil || !errors.Is(second, first) {
		t.Errorf("Next = %v and then %v, want the same error", first, second)
	}
	if _, err := r.Chunk(); !errors.Is(err, first) {
		t.Errorf("Chunk after an error = %v, want %v", err, first)
	}
}

func TestClose(t *testing.T) {
	t.Parallel()
	for kind, blob := range endings() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			r := layer.NewReader(bytes.NewReader(blob), layer.Limits{})
			if _, err := r.Next(); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if err := r.Close(); err != nil {
					t.Errorf("Close() = %v", err)
				}
			}
			if _, err := r.Next(); err == nil || isEnd(err) {
				t.Errorf("Next after Close = %v, want an error", err)
			}
		})
	}
	if err := layer.NewReader(nil, layer.Limits{}).Close(); err != nil {
		t.Errorf("Close before the first Next = %v", err)
	}
}
