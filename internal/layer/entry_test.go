package layer_test

import (
	"bytes"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drengskapur/fastmcp-runner/internal/layer"
)

func TestEntries(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("d/", 100) + strings.Repeat("n", 255)
	tests := []struct {
		name string
		tar  []byte
		want []string
	}{
		{
			name: "trap 1: a whiteout names what it removes, and stands where it stood",
			tar:  join(member{name: "a/.wh.x"}.bytes(), member{name: "a/x", body: "new"}.bytes(), member{name: "a/.wh.x"}.bytes()),
			want: []string{`whiteout "a/x"`, `file "a/x" = "new"`, `whiteout "a/x"`},
		},
		{
			name: "trap 2: an opaque whiteout names its directory",
			tar:  join(member{name: "a/b/new"}.bytes(), member{name: "a/.wh..wh..opq"}.bytes()),
			want: []string{`file "a/b/new"`, `opaque whiteout "a"`},
		},
		{
			name: "trap 3: whiteouts at the root",
			tar:  join(member{name: ".wh.foo"}.bytes(), member{name: ".wh..wh..opq"}.bytes(), member{name: "./.wh.bar"}.bytes(), member{name: "/.wh..wh..opq"}.bytes()),
			want: []string{`whiteout "foo"`, `opaque whiteout ""`, `whiteout "bar"`, `opaque whiteout ""`},
		},
		{
			name: "a whiteout of a name that begins with dots",
			tar:  join(member{name: ".wh....x"}.bytes(), member{name: ".wh..x"}.bytes(), member{name: "a/.wh....."}.bytes()),
			want: []string{`whiteout "...x"`, `whiteout ".x"`, `whiteout "a/...."`},
		},
		{
			name: "names that only resemble a whiteout are files",
			tar:  join(member{name: "a.wh.b"}.bytes(), member{name: ".wh"}.bytes(), member{name: ".wha"}.bytes(), member{name: "x.wh./y"}.bytes()),
			want: []string{`file "a.wh.b"`, `file ".wh"`, `file ".wha"`, `file "x.wh./y"`},
		},
		{
			name: "AUFS metadata is skipped",
			tar: join(
				member{name: ".wh..wh.aufs", body: "x"}.bytes(), member{name: ".wh..wh.plnk/", flag: '5'}.bytes(),
				member{name: ".wh..wh.plnk/1.2", body: "x"}.bytes(), member{name: "a/.wh..wh.orph/", flag: '5'}.bytes(),
				member{name: ".wh..wh..opq2"}.bytes(), member{name: "a"}.bytes()),
			want: []string{`file "a"`},
		},
		{
			name: "trap 6: a whiteout of any type and with a body is one",
			tar: join(
				member{name: ".wh.a/", flag: '5'}.bytes(), member{name: ".wh.b", body: "body"}.bytes(),
				member{name: ".wh.c", flag: '2', link: "x"}.bytes(), member{name: "d/.wh..wh..opq/", flag: '5'}.bytes()),
			want: []string{`whiteout "a"`, `whiteout "b"`, `whiteout "c"`, `opaque whiteout "d"`},
		},
		{
			name: "trap 11: targets of symbolic links stay byte for byte",
			tar: join(
				member{name: "a", flag: '2', link: "/abs//x/"}.bytes(), member{name: "b", flag: '2', link: "../../../../t"}.bytes(),
				member{name: "c", flag: '2', link: "./\xff\n"}.bytes()),
			want: []string{`symbolic link "a" -> "/abs//x/"`, `symbolic link "b" -> "../../../../t"`, `symbolic link "c" -> "./\xff\n"`},
		},
		{
			name: "trap 13: the root is a directory with an empty path",
			tar: join(
				member{name: ".", flag: '5'}.bytes(), member{name: "./", flag: '5'}.bytes(),
				member{name: "/", flag: '5'}.bytes(), member{name: "a/..", flag: '5'}.bytes()),
			want: []string{`directory ""`, `directory ""`, `directory ""`, `directory ""`},
		},
		{
			name: "trap 14: names are made relative and clean",
			tar: join(
				member{name: "/abs"}.bytes(), member{name: "./x"}.bytes(), member{name: ".//y"}.bytes(), member{name: "a//b/./c"}.bytes(),
				member{name: "a/../b"}.bytes(), member{name: "a/b/../../c"}.bytes(), member{name: "d/", flag: '5'}.bytes(), member{name: "..."}.bytes()),
			want: []string{
				`file "abs"`, `file "x"`, `file "y"`, `file "a/b/c"`,
				`file "b"`, `file "c"`, `directory "d"`, `file "..."`,
			},
		},
		{
			name: "trap 14: a regular file whose name ends in a slash is a directory",
			tar:  join(member{name: "a/"}.bytes(), member{name: "b/", flag: nul}.bytes(), member{name: "c/", body: "x"}.bytes()),
			want: []string{`directory "a"`, `directory "b"`, `directory "c"`},
		},
		{
			name: "trap 15: targets of hard links are made clean",
			tar: join(
				member{name: "a", flag: '1', link: "./x"}.bytes(), member{name: "b", flag: '1', link: "/y//z"}.bytes(),
				member{name: "c", flag: '1', link: "d/../e"}.bytes()),
			want: []string{`hard link "a" -> "x"`, `hard link "b" -> "y/z"`, `hard link "c" -> "e"`},
		},
		{
			name: "trap 19: every one of several entries with the same name",
			tar:  join(member{name: "a", body: "1"}.bytes(), member{name: "a", flag: '5'}.bytes(), member{name: "./a", body: "2"}.bytes()),
			want: []string{`file "a" = "1"`, `directory "a"`, `file "a" = "2"`},
		},
		{
			name: "trap 25: devices and named pipes have their kinds",
			tar:  join(member{name: "dev/null", flag: '3'}.bytes(), member{name: "sda", flag: '4'}.bytes(), member{name: "run/p", flag: '6'}.bytes()),
			want: []string{`device "dev/null"`, `device "sda"`, `named pipe "run/p"`},
		},
		{
			name: "trap 26: all spellings of a regular file",
			tar:  join(member{name: "a", body: "0"}.bytes(), member{name: "b", flag: nul, body: "nul"}.bytes(), member{name: "c", flag: '7', body: "7"}.bytes()),
			want: []string{`file "a" = "0"`, `file "b" = "nul"`, `file "c" = "7"`},
		},
		{
			name: "trap 26: a global header is ignored",
			tar:  join(member{name: "g", flag: 'g', body: paxRecord("path", "evil")}.bytes(), member{name: "a"}.bytes()),
			want: []string{`file "a"`},
		},
		{
			name: "trap 26: the body of an unknown type is skipped",
			tar:  join(member{name: "v", flag: 'V', body: "label"}.bytes(), member{name: "a"}.bytes()),
			want: []string{`member of unknown type "v"`, `file "a"`},
		},
		{
			name: "trap 26: holes of an old GNU sparse file are zeros",
			tar:  join(oldSparse("s", 8, "data"), member{name: "a"}.bytes()),
			want: []string{`file "s" = "data\x00\x00\x00\x00"`, `file "a"`},
		},
		{
			name: "trap 26: holes of a PAX sparse file are zeros",
			tar: join(
				pax("GNU.sparse.major", "1", "GNU.sparse.minor", "0", "GNU.sparse.name", "real/./s", "GNU.sparse.realsize", "6"),
				member{name: "GNUSparseFile.0/s", body: "1\n4\n2\n" + strings.Repeat("\x00", blockSize-6) + "xy"}.bytes()),
			want: []string{`file "real/s" = "\x00\x00\x00\x00xy"`},
		},
		{
			name: "trap 27: long names of GNU and PAX",
			tar: join(
				gnuLong('L', "./"+long), member{name: "short"}.bytes(),
				gnuLong('K', long), member{name: "l", flag: '1', link: "short"}.bytes(),
				pax("path", "p/"+long), member{name: "short"}.bytes(),
				pax("linkpath", long), member{name: "s", flag: '2', link: "short"}.bytes()),
			want: []string{
				`file "` + long + `"`, `hard link "l" -> "` + long + `"`,
				`file "p/` + long + `"`, `symbolic link "s" -> "` + long + `"`,
			},
		},
		{
			name: "trap 27: names that are no text are kept as bytes",
			tar:  join(member{name: "\xff\xfe\n"}.bytes(), pax("path", "ü\nx"), member{name: "short"}.bytes()),
			want: []string{`file "\xff\xfe\n"`, `file "ü\nx"`},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := lines(mustRead(t, join(tt.tar, trailer())))
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("entries (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRefusedEntries(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat("d/", 2048) + "d"
	tests := []struct {
		name string
		tar  []byte
		want string
	}{
		{"trap 4: a whiteout of nothing", member{name: ".wh."}.bytes(), `entry ".wh.": the whiteout names "", which is no file`},
		{"trap 4: a whiteout of the directory itself", member{name: ".wh.."}.bytes(), `entry ".wh..": the whiteout names ".", which is no file`},
		{"trap 4: a whiteout of what is above the root", member{name: ".wh..."}.bytes(), `entry ".wh...": the whiteout names "..", which is no file`},
		{"trap 4: a whiteout of nothing below", member{name: "a/.wh."}.bytes(), `entry "a/.wh.": the whiteout names "", which is no file`},
		{"trap 4: a whiteout of a directory itself below", member{name: "a/b/.wh.."}.bytes(), `entry "a/b/.wh..": the whiteout names ".", which is no file`},
		{"trap 4: a whiteout of the parent below", member{name: "a/.wh.../", flag: '5'}.bytes(), `entry "a/.wh.../": the whiteout names "..", which is no file`},
		{"an entry below a whiteout", member{name: "a/.wh.b/c"}.bytes(), `entry "a/.wh.b/c": it lies below the whiteout ".wh.b"`},
		{"a whiteout below a whiteout", member{name: ".wh.b/.wh.c"}.bytes(), `entry ".wh.b/.wh.c": it lies below the whiteout ".wh.b"`},
		{"an entry below an opaque whiteout", member{name: "a/.wh..wh..opq/c"}.bytes(), `entry "a/.wh..wh..opq/c": it lies below the whiteout ".wh..wh..opq"`},
		{"trap 11: a symbolic link without a target", member{name: "l", flag: '2'}.bytes(), `entry "l": the symbolic link has no target`},
		{
			"a symbolic link whose target no kernel takes",
			join(pax("linkpath", strings.Repeat("x", 4096)), member{name: "l", flag: '2'}.bytes()),
			`entry "l": file name too long: the link's target has more than 4095 bytes`,
		},
		{"trap 13: the root as a symbolic link", member{name: "./", flag: '2', link: "x"}.bytes(), `entry "./": the root is a directory and cannot become a symbolic link`},
		{"trap 13: the root as a file", member{name: "."}.bytes(), `entry ".": the root is a directory and cannot become a file`},
		{"trap 13: the root as a hard link", member{name: "a/..", flag: '1', link: "x"}.bytes(), `entry "a/..": the root is a directory and cannot become a hard link`},
		{"trap 14: a name that leaves the root", member{name: "../x"}.bytes(), `entry "../x": the name leaves the root`},
		{"trap 14: a name that leaves the root on its way", member{name: "a/../../x"}.bytes(), `entry "a/../../x": the name leaves the root`},
		{"trap 14: a name that leaves the root and comes back", member{name: "a/../../a"}.bytes(), `entry "a/../../a": the name leaves the root`},
		{"trap 14: an absolute name that leaves the root", member{name: "/.."}.bytes(), `entry "/..": the name leaves the root`},
		{"trap 14: an empty name", member{}.bytes(), `entry "": the name is empty`},
		{
			"trap 14: a name with a NUL byte",
			join(pax("GNU.sparse.major", "0", "GNU.sparse.minor", "1", "GNU.sparse.name", "a\x00b", "GNU.sparse.numblocks", "0", "GNU.sparse.map", "", "GNU.sparse.size", "0"), member{name: "x"}.bytes()),
			`entry "a\x00b": the name holds a NUL byte`,
		},
		{
			"trap 14: a PAX name with a NUL byte",
			join(member{name: "before"}.bytes(), pax("path", "a\x00b"), member{name: "x"}.bytes()),
			`cannot read the header after entry "before": invalid tar header: an extended header has a record that is none`,
		},
		{"trap 15: a hard link to outside", member{name: "h", flag: '1', link: "../x"}.bytes(), `entry "h": hard link target "../x": the name leaves the root`},
		{"trap 15: a hard link to the root", member{name: "h", flag: '1', link: "./"}.bytes(), `entry "h": hard link target "./": it is the root`},
		{"trap 15: a hard link to nothing", member{name: "h", flag: '1'}.bytes(), `entry "h": hard link target "": the name is empty`},
		{"an owner that chown takes for none", join(pax("uid", "4294967295"), member{name: "a"}.bytes()), `entry "a": its owner 4294967295:0 is not within 0 to 4294967294`},
		{"a negative owner", join(pax("gid", "-1"), member{name: "a"}.bytes()), `entry "a": its owner 0:-1 is not within 0 to 4294967294`},
		{
			"trap 27: an element of more than 255 bytes",
			join(pax("path", "a/"+strings.Repeat("n", 256)), member{name: "x"}.bytes()),
			`entry "a/` + strings.Repeat("n", 254) + `"... (258 bytes): file name too long: an element has more than 255 bytes`,
		},
		{
			"trap 27: a name of more than 4095 bytes",
			join(gnuLong('L', deep), member{name: "x"}.bytes()),
			`entry "` + deep[:256] + `"... (4097 bytes): file name too long: it has more than 4095 bytes`,
		},
		{"trap 30: an extended header of more than a megabyte", pax("comment", strings.Repeat("x", 1<<20)), `cannot read the header of the first entry: an extended header of more than 1048576 bytes`},
		{"trap 30: a long name of more than a megabyte", gnuLong('L', strings.Repeat("x", 1<<20)), `cannot read the header of the first entry: an extended header of more than 1048576 bytes`},
		{"trap 30: a map of an old sparse file that does not end", endlessMap(), `cannot read the header of the first entry: the map of a sparse file has more than 1048576 bytes`},
		{"trap 30: a map of a sparse file that does not end", join(newSparse(), member{name: "x", body: "999999\n" + strings.Repeat("0\n", 1<<20)}.bytes()), `cannot read the header of the first entry: the map of a sparse file has more than 1048576 bytes`},
		{"a sparse file with more content than its map", join(newSparse(), member{name: "x", body: "0\n" + strings.Repeat("\x00", blockSize)}.bytes()), `cannot read the header of the first entry: the map of a sparse file has 0 bytes, the archive 2`},
		{"a sparse file with less content than its map", join(newSparse(), member{name: "x", body: "1\n0\n9\n" + strings.Repeat("\x00", blockSize)}.bytes()[:2*blockSize]), `cannot read the header of the first entry: the map of a sparse file has 9 bytes, the archive 6`},
		{"a sparse file whose fragments overlap", join(newSparse(), member{name: "x", body: "2\n0\n2\n1\n1\n"}.bytes()), `cannot read the header of the first entry: invalid tar header: no map of a sparse file`},
		{"a member with a wrong checksum", join(member{name: "a"}.bytes(), make([]byte, blockSize-1), []byte{1}), `cannot read the header after entry "a": invalid tar header: its checksum is wrong`},
		{"an owner that is no number", join(member{name: "a"}.bytes(), damaged(108, "1000 x")), `cannot read the header after entry "a": invalid tar header: a field is no number`},
		{"a negative size", join(member{name: "a"}.bytes(), damaged(124, strings.Repeat("\xff", 12))), `cannot read the header after entry "a": invalid tar header: its size is negative`},
		{"a record without a newline", member{flag: 'x', body: "7 a=bcd"}.bytes(), `cannot read the header of the first entry: invalid tar header: an extended header has a record that is none`},
		{"a member after a single zero block", join(member{name: "a"}.bytes(), make([]byte, blockSize), member{name: "b"}.bytes()), `cannot read the header after entry "a": invalid tar header: a single block of zeros before it`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := readAll(bytes.NewReader(join(tt.tar, trailer())), layer.Limits{})
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("error = %v, want %s", err, tt.want)
			}
		})
	}
}

// damaged returns a member of which a field is replaced.
func damaged(field int, value string) []byte {
	b := member{name: "x"}.bytes()
	copy(b[field:], value)
	return sealed(b)
}

func TestLongestNames(t *testing.T) {
	t.Parallel()
	longest := strings.Repeat("d/", 2047) + "n"
	if len(longest) != 4095 {
		t.Fatalf("the test's name has %d bytes", len(longest))
	}
	got := mustRead(t, join(pax("path", "/"+longest, "linkpath", longest), member{name: "x", flag: '2'}.bytes()))
	if len(got) != 1 || got[0].Path != longest || got[0].Linkname != longest {
		t.Errorf("entries = %v, want one link of 4095 bytes to 4095 bytes", lines(got))
	}
	_, err := readAll(bytes.NewReader(join(pax("path", longest+"n"), member{name: "x"}.bytes())), layer.Limits{})
	if err == nil || !strings.Contains(err.Error(), "file name too long: it has more than 4095 bytes") {
		t.Errorf("error of a name of 4096 bytes = %v", err)
	}
}

func TestGODEBUGDoesNotChangeNames(t *testing.T) {
	t.Setenv("GODEBUG", "tarinsecurepath=0")
	got := lines(mustRead(t, member{name: "/a/../b"}.bytes()))
	if diff := cmp.Diff([]string{`file "b"`}, got); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
}

func TestAttributes(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		tar  []byte
		want layer.Entry
	}{
		{
			name: "trap 20: all bits of chmod and none beyond",
			tar:  member{name: "a", mode: 0o7777777, uid: 1000}.bytes(),
			want: layer.Entry{Path: "a", Kind: layer.File, Mode: 0o7777, UID: 1000, ModTime: time.Unix(0, 0)},
		},
		{
			name: "trap 20: setuid and sticky are passed on",
			tar:  member{name: "a", mode: 0o5755}.bytes(),
			want: layer.Entry{Path: "a", Kind: layer.File, Mode: 0o5755, ModTime: time.Unix(0, 0)},
		},
		{
			name: "trap 24: extended attributes, binary and empty ones too",
			tar: join(pax(
				"SCHILY.xattr.user.a", "1", "SCHILY.xattr.security.capability", "\x01\x00\x00\x02=\n", "SCHILY.xattr.user.empty", "",
				"comment", "none", "LIBARCHIVE.xattr.user.b", "Yg=="), member{name: "a"}.bytes()),
			want: layer.Entry{Path: "a", Kind: layer.File, ModTime: time.Unix(0, 0), Xattrs: map[string]string{
				"user.a": "1", "security.capability": "\x01\x00\x00\x02=\n", "user.empty": "",
			}},
		},
		{
			name: "the largest owner",
			tar:  join(pax("uid", "4294967294", "gid", "7"), member{name: "a"}.bytes()),
			want: layer.Entry{Path: "a", Kind: layer.File, UID: math.MaxUint32 - 1, GID: 7, ModTime: time.Unix(0, 0)},
		},
		{
			name: "only a file has a size",
			tar:  member{name: "a", flag: '5', size: 4096}.bytes(),
			want: layer.Entry{Path: "a", Kind: layer.Dir, ModTime: time.Unix(0, 0)},
		},
		{
			name: "a whiteout has no attributes",
			tar:  member{name: ".wh.a", mode: 0o644, uid: 7, body: "x"}.bytes(),
			want: layer.Entry{Path: "a", Kind: layer.Whiteout},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := mustRead(t, tt.tar)
			if len(got) != 1 {
				t.Fatalf("entries = %v, want one", lines(got))
			}
			if diff := cmp.Diff(tt.want, got[0].Entry); diff != "" {
				t.Errorf("entry (-want +got):\n%s", diff)
			}
		})
	}
}

func TestModTime(t *testing.T) {
	t.Parallel()
	// 2^63 ns are 9223372036.85 s: 2262-04-11, and 1677-09-21 before 1970.
	last, first := time.Unix(9223372036, 0), time.Unix(-9223372036, 0)
	tests := []struct {
		name  string
		mtime string // PAX
		want  time.Time
	}{
		{"trap 23: zero is 1970", "0", time.Unix(0, 0)},
		{"trap 23: a negative time is kept", "-1", time.Unix(-1, 0)},
		{"trap 23: a fraction is kept", "1700000000.123456789", time.Unix(1700000000, 123456789)},
		{"trap 23: a negative fraction is kept", "-1.5", time.Unix(-2, 500000000)},
		{"trap 23: the last second", "9223372036", last},
		{"trap 23: a fraction of the last second is clamped", "9223372036.9", last},
		{"trap 23: after 2262 is clamped", "9223372037", last},
		{"trap 23: the largest time is clamped", "9223372036854775807", last},
		{"trap 23: the first second", "-9223372036", first},
		{"trap 23: before 1677 is clamped", "-9223372037", first},
		{"trap 23: a fraction before the first second is clamped", "-9223372036.5", first},
		{"trap 23: the smallest time is clamped", "-9223372036854775808", first},
		{"trap 23: a fraction before the smallest time is clamped", "-9223372036854775808.5", first},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := mustRead(t, join(pax("mtime", tt.mtime), member{name: "a"}.bytes()))
			if len(got) != 1 || !got[0].ModTime.Equal(tt.want) {
				t.Fatalf("ModTime = %v, want %v", got, tt.want)
			}
			if back := time.Unix(0, got[0].ModTime.UnixNano()); !back.Equal(tt.want) {
				t.Errorf("UnixNano gives %v back, want %v", back, tt.want)
			}
		})
	}
	t.Run("trap 23: a time in base 256", func(t *testing.T) {
		t.Parallel()
		got := mustRead(t, member{name: "a", mtime: base256(math.MaxInt64)}.bytes())
		if len(got) != 1 || !got[0].ModTime.Equal(last) {
			t.Errorf("ModTime = %v, want %v", got, last)
		}
	})
}
