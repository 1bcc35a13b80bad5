package layer_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/drengskapur/fastmcp-runner/internal/layer"
)

const blockSize = 512

// member is a ustar member written byte by byte: archive/tar's Writer refuses
// most of what the tests are about.
type member struct {
	name, link string
	flag       byte // '0' if zero; nul for the byte zero
	mode       int64
	uid        int64
	mtime      string // the field's twelve bytes, "00000000000\x00" if empty
	size       int64  // what the header claims, len(body) if zero
	body       string
}

const nul = 0xff

func (m member) bytes() []byte {
	b := make([]byte, blockSize, 2*blockSize)
	field := func(start, length int, value string) {
		if len(value) > length {
			panic(fmt.Sprintf("internal error: %q does not fit %d bytes", value, length))
		}
		copy(b[start:start+length], value)
	}
	if m.size == 0 {
		m.size = int64(len(m.body))
	}
	switch m.flag {
	case 0:
		m.flag = '0'
	case nul:
		m.flag = 0
	}
	if m.mtime == "" {
		m.mtime = "00000000000\x00"
	}
	field(0, 100, m.name)
	field(100, 8, fmt.Sprintf("%07o\x00", m.mode))
	field(108, 8, fmt.Sprintf("%07o\x00", m.uid))
	field(116, 8, "0000000\x00")
	field(124, 12, fmt.Sprintf("%011o\x00", m.size))
	field(136, 12, m.mtime)
	b[156] = m.flag
	field(157, 100, m.link)
	field(257, 8, "ustar\x0000")
	b = sealed(b)
	b = append(b, m.body...)
	return append(b, make([]byte, -len(b)&(blockSize-1))...)
}

// sealed returns a header block with its checksum.
func sealed(block []byte) []byte {
	copy(block[148:156], "        ")
	var sum int
	for _, c := range block {
		sum += int(c)
	}
	copy(block[148:156], fmt.Sprintf("%06o\x00 ", sum))
	return block
}

// pax returns an extended header with the given records: key, value, ...
func pax(records ...string) []byte {
	var body strings.Builder
	for i := 0; i < len(records); i += 2 {
		body.WriteString(paxRecord(records[i], records[i+1]))
	}
	return member{name: "PaxHeaders/x", flag: 'x', body: body.String()}.bytes()
}

func paxRecord(key, value string) string {
	rest := " " + key + "=" + value + "\n"
	n := len(rest)
	for n != len(strconv.Itoa(n))+len(rest) {
		n = len(strconv.Itoa(n)) + len(rest)
	}
	return strconv.Itoa(n) + rest
}

// gnuLong returns the GNU extension for a long name ('L') or link ('K').
func gnuLong(flag byte, value string) []byte {
	return member{name: "././@LongLink", flag: flag, body: value + "\x00"}.bytes()
}

// oldSparse returns a file of realSize that holds body at its beginning and is
// otherwise a hole, in the format of old GNU tar.
func oldSparse(name string, realSize int64, body string) []byte {
	b := member{name: name, flag: 'S', body: body}.bytes()
	copy(b[257:265], "ustar  \x00")
	copy(b[386:], base256(0)+base256(int64(len(body)))) // where the data lie, and how long they are
	copy(b[410:], base256(realSize)+base256(0))
	copy(b[483:], base256(realSize))
	sealed(b[:blockSize])
	return b
}

// endlessMap returns an old sparse file whose map goes on for more than a
// megabyte.
func endlessMap() []byte {
	b := append(oldSparse("s", 9, ""), make([]byte, 2049*blockSize)...)
	b[482] = 1
	sealed(b[:blockSize])
	for i := blockSize; i < len(b); i += blockSize {
		b[i+504] = 1
	}
	return b
}

// newSparse returns the extended header of a sparse file of 9 bytes whose map is
// in front of its content.
func newSparse() []byte {
	return pax("GNU.sparse.major", "1", "GNU.sparse.minor", "0", "GNU.sparse.name", "s", "GNU.sparse.realsize", "9")
}

// base256 is how GNU tar writes numbers that octal digits cannot hold.
func base256(n int64) string {
	b := make([]byte, 12)
	for i := 11; n > 0; i-- {
		b[i] = byte(n)
		n >>= 8
	}
	b[0] |= 0x80
	return string(b)
}

// trailer is the end of an archive.
func trailer() []byte { return make([]byte, 2*blockSize) }

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func gzipped(content []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	mustWrite(w, content)
	return b.Bytes()
}

func zstandard(content []byte, opts ...zstd.EOption) []byte {
	var b bytes.Buffer
	w, err := zstd.NewWriter(&b, append(opts, zstd.WithEncoderConcurrency(1))...)
	if err != nil {
		panic(err)
	}
	mustWrite(w, content)
	return b.Bytes()
}

func mustWrite(w io.WriteCloser, content []byte) {
	if _, err := w.Write(content); err != nil {
		panic(err)
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
}

// read is an entry with its content.
type read struct {
	layer.Entry
	Content string
}

// String is what tables compare.
func (r read) String() string {
	s := fmt.Sprintf("%s %q", r.Kind, r.Path)
	if r.Linkname != "" {
		s += fmt.Sprintf(" -> %q", r.Linkname)
	}
	if r.Content != "" {
		s += fmt.Sprintf(" = %q", r.Content)
	}
	return s
}

// readAll reads a layer to its end.
func readAll(blob io.Reader, lim layer.Limits) (entries []read, err error) {
	r := layer.NewReader(blob, lim)
	defer r.Close()
	for {
		ent, err := r.Next()
		if isEnd(err) {
			return entries, nil
		}
		if err != nil {
			return entries, err
		}
		content, err := content(r)
		if err != nil {
			return entries, err
		}
		entries = append(entries, read{ent, content})
	}
}

// content reads what is left of the current entry.
func content(r *layer.Reader) (string, error) {
	var b strings.Builder
	for {
		chunk, err := r.Chunk()
		if isEnd(err) {
			return b.String(), nil
		}
		if err != nil {
			return b.String(), err
		}
		b.Write(chunk.Data)
		b.WriteString(strings.Repeat("\x00", int(chunk.Hole)))
		chunk.Release()
	}
}

// mustRead reads a layer that has nothing wrong.
func mustRead(t *testing.T, blob []byte) []read {
	t.Helper()
	entries, err := readAll(bytes.NewReader(blob), layer.Limits{})
	if err != nil {
		t.Fatalf("reading the layer: %v", err)
	}
	return entries
}

// isEnd reports whether err is io.EOF itself: a wrapped one is a failure.
func isEnd(err error) bool {
	return err == io.EOF //nolint:errorlint // errors.Is would take failures for the end
}

func lines(entries []read) []string {
	var s []string
	for _, ent := range entries {
		s = append(s, ent.String())
	}
	return s
}
