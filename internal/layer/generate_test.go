package layer_test

import (
	"bytes"
	"math/rand/v2"
	"strconv"
	"strings"
)

// generator writes archives by chance, in all formats: every other one right,
// the others wrong in the ways that writers and attackers have found.
type generator struct {
	*rand.Rand

	wrong bool
}

func newGenerator(seed uint64) generator {
	return generator{rand.New(rand.NewPCG(seed, 0)), seed%2 == 1}
}

// archive returns an archive of a few members.
func (g generator) archive() []byte {
	var b bytes.Buffer
	for range 1 + g.IntN(4) {
		b.Write(g.member())
	}
	switch g.IntN(8) {
	case 0:
	case 1:
		b.Write(make([]byte, blockSize))
	default:
		b.Write(trailer())
	}
	if g.fault(10) {
		b.Write(g.member())
	}
	archive := b.Bytes()
	if g.fault(10) {
		archive = archive[:g.IntN(len(archive)+1)]
	}
	for g.fault(10) && len(archive) > 0 {
		archive[g.IntN(len(archive))] ^= 1 << g.IntN(8)
	}
	return archive
}

// one is true in one of n cases.
func (g generator) one(n int) bool { return g.IntN(n) == 0 }

// fault is true in one of n cases if faults are allowed.
func (g generator) fault(n int) bool { return g.wrong && g.one(n) }

func (g generator) pick(choices ...string) string { return choices[g.IntN(len(choices))] }

// member returns a member with what precedes it.
func (g generator) member() []byte {
	var b bytes.Buffer
	for g.one(2) {
		b.Write(g.special())
	}
	switch g.IntN(10) {
	case 0:
		b.Write(g.oldSparse())
	case 1:
		b.Write(g.paxSparse())
	default:
		flag, size := g.flag(), g.size()
		if strings.IndexByte("\x00123456", flag) >= 0 && !g.fault(2) {
			size = 0 // these have no content, or none if their name ends in a slash
		}
		b.Write(g.header(flag, size))
		b.Write(g.content(size))
	}
	return b.Bytes()
}

// special returns a member that is about the next one.
func (g generator) special() []byte {
	flag, body := byte('x'), ""
	switch g.IntN(8) {
	case 0:
		flag = 'g'
		fallthrough
	default:
		for g.one(2) || body == "" && !g.one(5) {
			body += g.record()
		}
	case 1:
		flag, body = 'L', g.name()+g.pick("", "\x00", "\x00x")
	case 2:
		flag, body = 'K', g.name()+g.pick("", "\x00", "\x00x")
	}
	if flag == 'x' && g.fault(5) {
		body += g.pick("\x00", "3 x", "5 a=", "6 a=b", "+8 a=bc\n", "08 a=bc\n", "4 =\n", "6 ab=\n", "99 a=b\n", "-1 a=b\n", " a=b\n", "7 a=b\n\n")
	}
	h := g.header(flag, int64(len(body)))
	return append(h, padded(body)...)
}

func padded(body string) []byte {
	return append([]byte(body), make([]byte, -len(body)&(blockSize-1))...)
}

// record returns a record with a value that its keyword may have, or with any.
func (g generator) record() string {
	key := g.pick("path", "linkpath", "size", "uid", "gid", "uname", "gname", "mtime", "atime", "ctime", "comment",
		"SCHILY.xattr.user.a", "SCHILY.xattr.user.b", "SCHILY.xattr.", "GNU.sparse.name", "GNU.sparse.x")
	if g.fault(2) {
		key = g.pick("", "\x00", "SCHILY.xattr.\x00", "GNU.sparse.major", "GNU.sparse.minor", "GNU.sparse.size", "GNU.sparse.realsize",
			"GNU.sparse.numblocks", "GNU.sparse.offset", "GNU.sparse.numbytes", "GNU.sparse.map")
	}
	if g.fault(3) {
		return paxRecord(key, g.pick("", "0", "1", "2", "-1", "1.5", "1.x", ".5", "1e3", "0x1",
			"9223372036854775808", "1_0", "a", "a\x00b", "0,1", "0,1,2,3"))
	}
	switch key {
	case "size":
		return paxRecord(key, "")
	case "uid", "gid":
		return paxRecord(key, g.pick("", "0", "+1", "01", "-1", "70000", "4294967296", "9223372036854775807", "-9223372036854775808"))
	case "mtime", "atime", "ctime":
		return paxRecord(key, g.pick("", "0", "1.5", "-1.5", "1.", "-0.5", "+1.5", "1.0000000009", "0.999999999", "1.000000001",
			"9223372036.9", "-9223372036.9", "-9223372036", "9223372036854775807", "-9223372036854775808", "-9223372037.5"))
	case "path", "linkpath", "GNU.sparse.name":
		return paxRecord(key, strings.ReplaceAll(g.name(), "\x00", "=\n"))
	}
	return paxRecord(key, g.pick("", "a=b", "ü\nx", "root"))
}

func (g generator) name() string {
	return g.pick("a", "a/", "b/c", "./d", "", "/", "e\x00f", "ü", "\xff", strings.Repeat("n", 100), strings.Repeat("n", 99)+"/",
		strings.Repeat("long/", 60), "../x", ".wh.x", "a//b")
}

func (g generator) flag() byte {
	if g.fault(10) {
		return byte(g.IntN(256))
	}
	return "0000000\x00\x00\x0012345670SVDMN"[g.IntN(23)]
}

func (g generator) size() int64 { return []int64{0, 0, 1, 5, 511, 512, 513, 1500}[g.IntN(8)] }

// content returns that much content with its padding, or a little less or more.
func (g generator) content(size int64) []byte {
	if g.fault(20) {
		size += 512 - int64(g.IntN(1024))
	}
	b := padded(strings.Repeat("x", int(max(size, 0))))
	for i := range b[:max(size, 0)] {
		b[i] = byte('a' + g.IntN(26))
	}
	return b
}

// header returns a header of any format.
func (g generator) header(flag byte, size int64) []byte {
	b := make([]byte, blockSize)
	copy(b[0:100], g.name())
	g.number(b[100:108], int64(g.IntN(0o10000)))
	g.number(b[108:116], int64(g.IntN(70000)))
	g.number(b[116:124], int64(g.IntN(70000)))
	g.number(b[124:136], size)
	g.number(b[136:148], g.Int64N(1<<33))
	b[156] = flag
	copy(b[157:257], g.name())
	copy(b[257:265], g.pick("ustar\x0000", "ustar\x0000", "ustar  \x00", "ustar  \x00", "", "ustar\x00\x00\x00", "ustar 00"))
	copy(b[265:297], g.pick("", "root"))
	if !g.one(3) {
		g.number(b[329:337], 0)
		g.number(b[337:345], 0)
	}
	switch g.IntN(6) {
	case 0:
		copy(b[345:500], g.name())
	case 1:
		g.number(b[345:357], 1)
		g.number(b[357:369], 2)
	case 2:
		copy(b[345:476], g.name())
		g.number(b[476:488], 1)
		g.number(b[488:500], 2)
		copy(b[508:512], "tar\x00")
	}
	return g.seal(b)
}

// seal gives a header its checksum, or nearly so.
func (g generator) seal(b []byte) []byte {
	sealed(b)
	switch {
	case g.fault(50):
		b[148+g.IntN(8)] ^= 1
	case g.fault(50):
		copy(b[148:156], g.pick("", "        ", "0000000", "\xff\xff\xff\xff\xff\xff\xff\xff"))
	case g.one(20): // as signed bytes
		sum, err := strconv.ParseInt(string(b[148:154]), 8, 64)
		if err != nil {
			panic(err)
		}
		for i, c := range b {
			if c >= 0x80 && (i < 148 || i >= 156) {
				sum -= 256
			}
		}
		if sum > 0 {
			copy(b[148:156], strconv.FormatInt(sum, 8)+"\x00\x00\x00\x00\x00\x00\x00")
		}
	}
	return b
}

// number writes a number into a field, in one of the ways that there are.
func (g generator) number(field []byte, n int64) {
	octal := strconv.FormatInt(n, 8)
	if g.fault(20) {
		copy(field, g.pick("9", "x", "-1", " 1 2", "1\x00x", "1 \x00x", "1 x", "\x00 1", "77777777777777", "0o7", "1_1",
			"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "\x80\x00\x00\x00\x80\x00\x00\x00\x00\x00\x00\x01",
			"\x80\x00\x00\x00\x7f\xff\xff\xff\xff\xff\xff\xff", "\x80\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00",
			"\xff\xff\xff\xff\x80\x00\x00\x00\x00\x00\x00\x00", "\xff\xff\xff\xff\x7f\xff\xff\xff\xff\xff\xff\xff",
			"\xbf\x00\x00\x00\x00\x00\x00\x01", "\xc0"))
		return
	}
	switch form := g.IntN(8); {
	case form == 0 || len(octal) >= len(field):
		copy(field, base256(n)[12-len(field):])
		field[0] |= 0x80
	case form == 1:
		copy(field, " "+octal+" ")
	case form == 2:
		copy(field, octal+" \x00 ")
	default:
		octal = strings.Repeat("0", len(field)-1-len(octal)) + octal
		copy(field, octal)
	}
}

// fragments returns a map of a sparse file, its size, and the content that it
// should have.
func (g generator) fragments() (fragments []int64, size, content int64) {
	for range g.IntN(30) {
		offset, length := size+int64(g.IntN(3)*300), int64(g.IntN(3)*100)
		fragments = append(fragments, offset, length)
		size, content = offset+length, content+length
	}
	size += int64(g.IntN(3) * 200)
	switch {
	case g.fault(10):
		size -= 200
	case g.fault(10):
		content++
	case g.fault(10):
		content--
	case g.fault(10) && len(fragments) > 0:
		fragments[g.IntN(len(fragments))] += []int64{1, -1, 1 << 62}[g.IntN(3)]
	}
	return fragments, size, max(content, 0)
}

// oldSparse returns a sparse file in the format of old GNU tar.
func (g generator) oldSparse() []byte {
	fragments, size, content := g.fragments()
	b := g.header('S', content)
	if !g.fault(10) {
		copy(b[257:265], "ustar  \x00")
	}
	clear(b[345:])
	g.number(b[483:495], size)
	table := b[386:483]
	for {
		for len(table) > 24 && len(fragments) > 0 {
			g.number(table[:12], fragments[0])
			g.number(table[12:24], fragments[1])
			table, fragments = table[24:], fragments[2:]
		}
		if len(fragments) == 0 {
			break
		}
		table[0] = 1
		start := len(b)
		b = append(b, make([]byte, blockSize)...)
		table = b[start : start+21*24+1]
	}
	g.seal(b[:blockSize])
	return append(b, g.content(content)...)
}

// paxSparse returns a sparse file in one of the formats that use records.
func (g generator) paxSparse() []byte {
	fragments, size, content := g.fragments()
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	var words []string
	for _, n := range fragments {
		words = append(words, number(n))
	}
	count := number(int64(len(fragments) / 2))
	if g.fault(20) {
		count = g.record()
	}
	var records strings.Builder
	var before string
	switch g.IntN(3) {
	case 0:
		records.WriteString(paxRecord("GNU.sparse.size", number(size)) + paxRecord("GNU.sparse.numblocks", count))
		for i, word := range words {
			records.WriteString(paxRecord([]string{"GNU.sparse.offset", "GNU.sparse.numbytes"}[i%2], word))
		}
	case 1:
		records.WriteString(paxRecord("GNU.sparse.size", number(size)) + paxRecord("GNU.sparse.numblocks", count) +
			paxRecord("GNU.sparse.map", strings.Join(words, ",")) + paxRecord("GNU.sparse.name", g.name()))
	case 2:
		records.WriteString(paxRecord("GNU.sparse.major", "1") + paxRecord("GNU.sparse.minor", "0") +
			paxRecord("GNU.sparse.name", g.name()) + paxRecord("GNU.sparse.realsize", number(size)))
		before = string(padded(strings.Join(append([]string{count}, words...), "\n") + "\n"))
	}
	for g.one(3) {
		records.WriteString(g.record())
	}
	b := append(g.header('x', int64(records.Len())), padded(records.String())...)
	flag := byte('0')
	if g.fault(10) {
		flag = g.flag()
	}
	b = append(b, g.header(flag, int64(len(before))+content)...)
	return append(append(b, before...), g.content(content)...)
}
