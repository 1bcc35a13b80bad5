package inflate_test

import (
	"bytes"
	stdgzip "compress/gzip"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/drengskapur/fastmcp-runner/internal/inflate"
)

// Flags of a member's header (RFC 1952, section 2.3.1).
const (
	flagText    = 1 << 0
	flagHdrCRC  = 1 << 1
	flagExtra   = 1 << 2
	flagName    = 1 << 3
	flagComment = 1 << 4
)

// header returns a member's header: the fixed part and what the flags announce.
func header(flags byte, parts ...string) []byte {
	return append([]byte{0x1f, 0x8b, 8, flags, 1, 2, 3, 4, 0, 255}, strings.Join(parts, "")...)
}

// withCRC appends a header's checksum.
func withCRC(header []byte) []byte {
	return binary.LittleEndian.AppendUint16(header, uint16(crc32.ChecksumIEEE(header)))
}

// hello is DEFLATE data and a trailer.
func hello() []byte {
	var buf bytes.Buffer
	w := stdgzip.NewWriter(&buf)
	_, err := io.WriteString(w, helloText)
	if err := errors.Join(err, w.Close()); err != nil {
		panic(err)
	}
	return buf.Bytes()[10:]
}

const helloText = "so much, and so much more of the same\n"

func read(r io.Reader) (string, error) {
	data, err := rest(inflate.NewReader(r))
	return string(data), err
}

// rest returns what a Reader has not delivered yet.
func rest(z *inflate.Reader) (data []byte, err error) {
	for block := new(inflate.Block); err == nil; data = append(data, block.Bytes()...) {
		err = z.Fill(block)
	}
	if err == io.EOF { //nolint:errorlint // an error that wraps io.EOF is a failure of the source
		err = nil
	}
	return data, err
}

func stdRead(r io.Reader) (string, error) {
	zr, err := stdgzip.NewReader(r)
	if err != nil {
		return "", err
	}
	data, err := io.ReadAll(zr)
	return string(data), err
}

func TestMembers(t *testing.T) {
	t.Parallel()
	member := slices.Concat(header(0), hello())
	damaged := func(fromEnd int) []byte {
		b := bytes.Clone(member)
		b[len(b)-fromEnd] ^= 1
		return b
	}
	long := strings.Repeat("n", 511)
	tests := []struct {
		name   string
		stream []byte
		want   string // what is decompressed
		fault  string // part of the error
		// differs tells why compress/gzip decides otherwise; it is empty where
		// both agree.
		differs string
	}{
		{name: "one member", stream: member, want: helloText},
		{name: "several members are one stream", stream: bytes.Repeat(member, 3), want: strings.Repeat(helloText, 3)},
		{name: "text flag", stream: slices.Concat(header(flagText), hello()), want: helloText},
		{name: "extra field", stream: slices.Concat(header(flagExtra, "\x03\x00abc"), hello()), want: helloText},
		{name: "longest extra field", stream: slices.Concat(header(flagExtra, "\xff\xff", strings.Repeat("x", 65535)), hello()), want: helloText},
		{name: "empty extra field", stream: slices.Concat(header(flagExtra, "\x00\x00"), hello()), want: helloText},
		{name: "name", stream: slices.Concat(header(flagName, "a name\x00"), hello()), want: helloText},
		{name: "comment", stream: slices.Concat(header(flagComment, "a comment\x00"), hello()), want: helloText},
		{name: "everything, in this order", stream: slices.Concat(withCRC(header(flagText|flagHdrCRC|flagExtra|flagName|flagComment, "\x01\x00xname\x00comment\x00")), hello()), want: helloText},
		{name: "header checksum", stream: slices.Concat(withCRC(header(flagHdrCRC)), hello()), want: helloText},
		{name: "wrong header checksum", stream: slices.Concat(header(flagHdrCRC, "\x00\x00"), hello()), fault: "wrong header checksum"},
		{name: "longest name", stream: slices.Concat(header(flagName, long, "\x00"), hello()), want: helloText},
		{name: "longer name", stream: slices.Concat(header(flagName, long, "n\x00"), hello()), fault: "header string longer than 511 bytes"},
		{name: "longer comment", stream: slices.Concat(header(flagComment, long, "n\x00"), hello()), fault: "header string longer than 511 bytes"},
		{name: "no gzip", stream: []byte("this is not gzip"), fault: "no gzip header"},
		{name: "unknown method", stream: slices.Concat([]byte{0x1f, 0x8b, 7}, member[3:]), fault: "unknown compression method"},
		{name: "wrong checksum", stream: damaged(8), want: helloText, fault: "wrong checksum"},
		{name: "wrong length", stream: damaged(4), want: helloText, fault: "wrong length"},
		{name: "wrong checksum of a later member", stream: slices.Concat(member, damaged(5)), want: helloText + helloText, fault: "wrong checksum"},
		{name: "data behind the last member", stream: slices.Concat(member, []byte("more than ten bytes")), want: helloText, fault: "no gzip header"},
		{name: "a match does not reach into the member before", stream: slices.Concat(member, header(0), []byte{0x03, 0x02, 0x00}, make([]byte, 40)), want: helloText, fault: "distance"},
		{
			name: "trap 28: zeros behind the last member are padding", stream: slices.Concat(member, make([]byte, 5000)), want: helloText,
			differs: "compress/gzip takes zeros for a broken header; gzip(1) ignores them",
		},
		{
			name: "a single zero behind the last member is padding", stream: slices.Concat(member, []byte{0}), want: helloText,
			differs: "compress/gzip takes zeros for a broken header; gzip(1) ignores them",
		},
		{name: "a member behind padding", stream: slices.Concat(member, make([]byte, 512), member), want: helloText, fault: "data behind the padding"},
		{name: "zeros before the first member", stream: slices.Concat(make([]byte, 512), member), fault: "no gzip header"},
		{
			name: "reserved flags", stream: slices.Concat(header(0x20), hello()), fault: "reserved header flag",
			differs: "RFC 1952, section 2.3.1.2, demands an error; compress/gzip ignores these flags",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := read(bytes.NewReader(test.stream))
			if got != test.want {
				t.Errorf("read %q, want %q", got, test.want)
			}
			checkFault(t, err, test.fault)
			_, stdErr := stdRead(bytes.NewReader(test.stream))
			if differs := (err == nil) != (stdErr == nil); differs != (test.differs != "") {
				t.Errorf("error %v, compress/gzip: error %v; expected difference: %q", err, stdErr, test.differs)
			}
		})
	}
}

// checkFault fails unless err is a CorruptError with the given part in its
// text, or nil if the part is empty.
func checkFault(t *testing.T, err error, part string) {
	t.Helper()
	if part == "" {
		if err != nil {
			t.Errorf("error %v, want none", err)
		}
		return
	}
	var corrupt *inflate.CorruptError
	if !errors.As(err, &corrupt) || !strings.Contains(corrupt.Reason, part) {
		t.Errorf("error %v, want a *CorruptError with %q", err, part)
	}
}

func TestCorruptErrorSaysWhatAndWhere(t *testing.T) {
	t.Parallel()
	stream := slices.Concat(header(0), hello())
	stream[len(stream)-8] ^= 1
	_, err := read(bytes.NewReader(stream))
	want := "cannot decompress gzip data: wrong checksum at compressed byte " + strconv.Itoa(len(stream))
	if err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

func TestEveryTruncationOfAGzipStreamIsUnexpectedEOF(t *testing.T) {
	t.Parallel()
	first := slices.Concat(withCRC(header(flagHdrCRC|flagExtra|flagName, "\x02\x00xxname\x00")), hello())
	stream := slices.Concat(first, header(0), hello())
	for n := range stream {
		got, err := read(bytes.NewReader(stream[:n]))
		if n == len(first) {
			if err != nil {
				t.Errorf("the first member alone: error %v", err)
			}
			continue
		}
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%d of %d bytes: error %v, want %v", n, len(stream), err, io.ErrUnexpectedEOF)
		}
		if !strings.HasPrefix(helloText+helloText, got) {
			t.Errorf("%d of %d bytes: read %q, which is not in the stream", n, len(stream), got)
		}
	}
}

func TestCorruptGzipStreamsAreJudgedAsByTheStandardLibrary(t *testing.T) {
	t.Parallel()
	stream := slices.Concat(withCRC(header(flagHdrCRC|flagExtra|flagName|flagComment, "\x02\x00xxname\x00comment\x00")), hello(), header(0), hello())
	p := newPair()
	for i := range stream {
		for bit := range 8 {
			damaged := bytes.Clone(stream)
			damaged[i] ^= 1 << bit
			p.compareGzip(t, damaged)
		}
	}
}
