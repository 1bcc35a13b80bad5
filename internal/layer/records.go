package layer

import (
	"bytes"
	"strconv"
	"time"
)

// records are what an extended header says of the member behind it (POSIX, pax,
// "pax Extended Header"), with the keywords that GNU tar and star added. The
// values lie in text. Of a keyword that comes more than once the last value
// counts; an empty one leaves the field of the header as it is.
type records struct {
	text []byte
	any  bool // a header was parsed

	path, linkpath, size, uid, gid []byte
	mtime, atime, ctime            []byte
	xattrs                         []xattr
	sparse                         sparseRecords
}

// xattr is an extended attribute (star(5), SCHILY.xattr.*).
type xattr struct{ name, value []byte }

// xattrPrefix begins the keywords of extended attributes.
const xattrPrefix = "SCHILY.xattr."

// reset forgets all records; what they were stored in is used again.
func (r *records) reset() {
	if r.any {
		*r = records{text: r.text[:0], xattrs: r.xattrs[:0]}
	}
}

// parse replaces the records by those of r.text. It reports false if they are
// no records.
func (r *records) parse() bool {
	*r = records{text: r.text, xattrs: r.xattrs[:0], any: true}
	for rest := r.text; len(rest) > 0; {
		record, after, ok := cutRecord(rest)
		if !ok {
			return false
		}
		key, value, ok := bytes.Cut(record, []byte("="))
		if !ok || len(key) == 0 || !r.set(key, value) {
			return false
		}
		rest = after
	}
	return true
}

// minRecord is the length of the shortest record, "5 a=\n".
const minRecord = 5

// cutRecord returns the first record, without its length and newline, and what
// follows it. The length is in decimal digits and counts all of the record,
// itself and the newline too.
func cutRecord(b []byte) (record, after []byte, ok bool) {
	digits := bytes.IndexByte(b, ' ')
	if digits < 0 {
		return nil, nil, false
	}
	n, ok := decimal(b[:digits])
	if !ok || n < minRecord || n > int64(len(b)) || n <= int64(digits)+1 || b[n-1] != '\n' {
		return nil, nil, false
	}
	return b[digits+1 : n-1], b[n:], true
}

// set stores the value of a keyword, and reports whether they may be what they
// are: no keyword has a NUL byte, and no text either.
func (r *records) set(key, value []byte) bool {
	switch string(key) {
	case "path":
		r.path = value
		return isText(value)
	case "linkpath":
		r.linkpath = value
		return isText(value)
	case "uname", "gname":
		return isText(value)
	case "size":
		r.size = value
	case "uid":
		r.uid = value
	case "gid":
		r.gid = value
	case "mtime":
		r.mtime = value
	case "atime":
		r.atime = value
	case "ctime":
		r.ctime = value
	default:
		if name, ok := bytes.CutPrefix(key, []byte(xattrPrefix)); ok {
			r.xattrs = append(r.xattrs, xattr{name, value})
		} else if name, ok := bytes.CutPrefix(key, []byte(sparsePrefix)); ok {
			return isText(key) && r.sparse.set(string(name), value)
		}
		return isText(key)
	}
	return true
}

func isText(b []byte) bool { return bytes.IndexByte(b, 0) < 0 }

// apply changes the fields of a member that the records tell, but for the names
// and what is said of sparse files. It reports false if a value is none.
func (r *records) apply(m *member) bool {
	var unused time.Time // only files that have been used have these
	return setDecimal(&m.size, r.size) && setDecimal(&m.uid, r.uid) && setDecimal(&m.gid, r.gid) &&
		setTime(&m.mtime, r.mtime) && setTime(&unused, r.atime) && setTime(&unused, r.ctime)
}

// attributes returns the extended attributes, nil if there are none.
func (r *records) attributes() map[string]string {
	if len(r.xattrs) == 0 {
		return nil
	}
	attrs := make(map[string]string, len(r.xattrs))
	for _, x := range r.xattrs {
		attrs[string(x.name)] = string(x.value)
	}
	return attrs
}

// setDecimal sets n to a value unless that is empty, and reports whether it is
// a number or empty.
func setDecimal(n *int64, value []byte) bool {
	if len(value) == 0 {
		return true
	}
	v, ok := decimal(value)
	*n = v
	return ok
}

func decimal(digits []byte) (int64, bool) {
	n, err := strconv.ParseInt(string(digits), 10, 64)
	return n, err == nil
}

// setTime sets t to a value unless that is empty, and reports whether it is a
// time or empty: seconds since 1970 with a fraction, of which nanoseconds are
// kept.
func setTime(t *time.Time, value []byte) bool {
	if len(value) == 0 {
		return true
	}
	whole, fraction, _ := bytes.Cut(value, []byte("."))
	seconds, ok := decimal(whole)
	if !ok {
		return false
	}
	nanoseconds, ok := nanoseconds(fraction)
	if whole[0] == '-' {
		nanoseconds = -nanoseconds
	}
	*t = boundTime(seconds, nanoseconds)
	return ok
}

// nanoseconds returns the first nine digits of a decimal fraction as a number.
func nanoseconds(fraction []byte) (int64, bool) {
	var n int64
	for i := range max(len(fraction), 9) {
		var digit byte
		if i < len(fraction) {
			digit = fraction[i] - '0'
		}
		if digit > 9 {
			return 0, false
		}
		if i < 9 {
			n = n*10 + int64(digit)
		}
	}
	return n, true
}
