package layer_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/drengskapur/fastmcp-runner/internal/layer"
)

func TestLimits(t *testing.T) {
	t.Parallel()
	const size = 6 * blockSize // two headers, two blocks of content, the trailer
	two := join(member{name: "a", body: "aaaa"}.bytes(), member{name: "b", body: "bb"}.bytes(), trailer())
	if len(two) != size {
		t.Fatalf("the test's archive has %d bytes", len(two))
	}
	tests := []struct {
		name string
		blob []byte
		lim  layer.Limits
		want error
		text string
	}{
		{"a layer of exactly the limits", gzipped(two), layer.Limits{Bytes: size, Entries: 2}, nil, ""},
		{"trap 30: one byte more", gzipped(two), layer.Limits{Bytes: size - 1}, layer.ErrTooManyBytes, "more than 3071"},
		{"trap 30: one byte more in a plain archive", two, layer.Limits{Bytes: size - 1}, layer.ErrTooManyBytes, "more than 3071"},
		{"trap 30: padding after the archive counts", zstandard(join(two, make([]byte, 1<<20))), layer.Limits{Bytes: 1 << 20}, layer.ErrTooManyBytes, "more than 1048576"},
		{"trap 30: one entry more", gzipped(two), layer.Limits{Entries: 1}, layer.ErrTooManyEntries, "more than 1"},
		{"trap 30: skipped members count", join(member{name: ".wh..wh.x"}.bytes(), member{name: "g", flag: 'g'}.bytes()), layer.Limits{Entries: 1}, layer.ErrTooManyEntries, "more than 1"},
		{"a hole within the limit", oldSparse("s", 4096, "x"), layer.Limits{Bytes: 4096}, nil, ""},
		{"trap 30: a hole beyond the limit", oldSparse("s", 4097, "x"), layer.Limits{Bytes: 4096}, layer.ErrTooManyBytes, `entry "s": it has 4097 bytes: too many bytes when unpacked: more than 4096 in all`},
		{"trap 30: a hole of 1 TiB", oldSparse("s", 1<<40, "x"), layer.Limits{}, layer.ErrTooManyBytes, `entry "s": it has 1099511627776 bytes: too many bytes when unpacked: more than 17179869184 in all`},
		{"trap 30: holes that only together are too long", join(oldSparse("a", 3000, "x"), oldSparse("b", 3000, "x")), layer.Limits{Bytes: 5000}, layer.ErrTooManyBytes, `entry "b": it has 3000 bytes: `},
		{"trap 30: the largest size that a header can claim", join(oldSparse("r", 1, "x"), oldSparse("s", 1<<63-1, "x")), layer.Limits{Bytes: 1<<63 - 1}, layer.ErrTooManyBytes, `more than 9223372036854775807`},
		{"a size beyond the limit is refused before it is read", member{name: "a", size: 1 << 30}.bytes(), layer.Limits{Bytes: 1 << 20}, layer.ErrTooManyBytes, `entry "a": it has 1073741824 bytes: `},
		{"the largest limits", gzipped(two), layer.Limits{Bytes: 1<<63 - 1, Entries: 1<<63 - 1}, nil, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := readAll(bytes.NewReader(tt.blob), tt.lim)
			if !errors.Is(err, tt.want) {
				t.Fatalf("error = %v, want %v", err, tt.want)
			}
			if err != nil && !strings.Contains(err.Error(), tt.text) {
				t.Errorf("error = %v, want %s", err, tt.text)
			}
		})
	}
}

// zeros is an endless stream of them.
type zeros struct{ read int64 }

func (z *zeros) Read(p []byte) (int, error) {
	clear(p)
	z.read += int64(len(p))
	return len(p), nil
}

func TestEndlessStream(t *testing.T) {
	t.Parallel()
	var endless zeros
	_, err := readAll(&endless, layer.Limits{Bytes: 1 << 20})
	if !errors.Is(err, layer.ErrTooManyBytes) {
		t.Errorf("trap 30: error = %v, want %v", err, layer.ErrTooManyBytes)
	}
	if endless.read > 2<<20 {
		t.Errorf("trap 30: %d bytes were read for a limit of 1 MiB", endless.read)
	}
}

func TestUsed(t *testing.T) {
	t.Parallel()
	blob := join(oldSparse("s", 1<<20, "x"), member{name: ".wh.b"}.bytes(), trailer())
	r := layer.NewReader(bytes.NewReader(blob), layer.Limits{})
	defer r.Close()
	if got := r.Used(); got != (layer.Usage{}) {
		t.Errorf("Used() before the first entry = %+v, want nothing", got)
	}
	for {
		if _, err := r.Next(); isEnd(err) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if got, want := r.Used(), (layer.Usage{Bytes: 1 << 20, Entries: 2}); got != want {
		t.Errorf("Used() of a layer with a hole = %+v, want %+v", got, want)
	}
}
