package layer

import (
	"cmp"
	"fmt"
	"io"
	"strings"
)

// The types of members (POSIX, pax, "ustar Interchange Format", and GNU tar
// manual, "Basic Tar Format").
const (
	typeOldRegular = 0 // of V7
	typeRegular    = '0'
	typeLink       = '1'
	typeSymlink    = '2'
	typeChar       = '3'
	typeBlock      = '4'
	typeDir        = '5'
	typeFifo       = '6'
	typeContiguous = '7'
	typeExtended   = 'x' // records for the next member
	typeGlobal     = 'g' // records for all members that follow
	typeGNUName    = 'L' // the name of the next member
	typeGNULink    = 'K' // what the next member links to
	typeGNUSparse  = 'S'
)

// hasContent reports whether the size in a header of that type counts content
// that follows it.
func hasContent(flag byte) bool { return flag < typeLink || flag > typeFifo }

// archive reads the members of a tar archive in any of the formats V7, USTAR,
// pax, GNU and star, where they lie in a stream.
//
// It accepts and rejects what [archive/tar] does, and understands it the same
// way, but for these:
//
//   - A map of a sparse file that does not fit its content is an error at once,
//     not only when the content is read: whether a layer is right must not depend
//     on what is taken from it.
//   - The map of a sparse file in the old GNU format is limited to maxHeader
//     bytes, like those of the other formats.
//   - A time with a fraction in the first second that an int64 holds is not
//     taken for one in the far future.
//
// Numbers that no Entry tells, such as those of devices, are checked all the
// same: what is no header in the eyes of others should be none here.
type archive struct {
	stream *stream
	begun  bool
	member member

	// What precedes the next member.
	records            records
	longName, longLink string
	special            []byte // where long names are put together

	// What is left of the current member.
	left    int64 // content
	padding int64 // and what fills its last block
	sparse  sparseContent
}

// next skips what is left of the current member and returns the next one, with
// io.EOF at the end. A global header is returned too, with nothing but its type.
func (a *archive) next() (*member, error) {
	if err := a.skipMember(); err != nil {
		return nil, err
	}
	defer a.forget()
	for {
		b, err := a.header()
		if err != nil {
			return nil, err
		}
		if err := a.decode(b); err != nil {
			return nil, err
		}
		switch a.member.flag {
		case typeExtended:
			err = a.readRecords()
		case typeGlobal:
			return &member{flag: typeGlobal}, a.readRecords()
		case typeGNUName:
			a.longName, err = a.readName()
		case typeGNULink:
			a.longLink, err = a.readName()
		default:
			return &a.member, a.complete(b)
		}
		if err != nil {
			return nil, err
		}
	}
}

// forget drops what preceded a member, when that has been read.
func (a *archive) forget() {
	a.records.reset()
	a.longName, a.longLink = "", ""
}

// skipMember passes by the rest of the current member. Some archives end
// without the padding of their last member.
func (a *archive) skipMember() error {
	if err := a.stream.skip(a.left); err != nil {
		return err
	}
	padding := a.padding
	a.left, a.padding, a.sparse = 0, 0, sparseContent{}
	if err := a.stream.skip(padding); err != nil && !isEnd(a.stream.err) {
		return err
	}
	return nil
}

// header returns the next header, or io.EOF: two blocks of zeros end an archive,
// but one will do where the stream ends, and so does its end alone.
func (a *archive) header() (*block, error) {
	b, err := a.nextBlock()
	if err != nil {
		return nil, err
	}
	sum := b.sum()
	if sum == 0 {
		return nil, a.trailer()
	}
	if !b.sealed(sum) {
		return nil, errHeader("its checksum is wrong")
	}
	return b, nil
}

// trailer reads the second block of zeros.
func (a *archive) trailer() error {
	b, err := a.nextBlock()
	if err == nil && b.sum() != 0 {
		return errHeader("a single block of zeros before it")
	}
	return cmp.Or(err, io.EOF)
}

func (a *archive) nextBlock() (*block, error) {
	data, err := a.stream.take()
	if !a.begun {
		a.begun = true
		if err := a.checkBeginning(data); err != nil {
			return nil, err
		}
	}
	if err != nil {
		return nil, err
	}
	return (*block)(data), nil
}

// maxShown is how much of unknown content an error shows.
const maxShown = 16

// checkBeginning makes sure that a tar archive begins with data, or that there
// is nothing at all: an empty layer.
func (a *archive) checkBeginning(data []byte) error {
	switch {
	case a.stream.err != nil && !isEnd(a.stream.err) && len(data) < blockSize:
		return fmt.Errorf("cannot read the layer's beginning: %w", a.stream.err)
	case len(data) == 0:
		return nil
	case len(data) == blockSize:
		b := (*block)(data)
		if sum := b.sum(); sum == 0 || b.sealed(sum) {
			return nil
		}
	}
	return fmt.Errorf("it is not a tar archive, plain or compressed with gzip or zstd: its content begins with %q",
		data[:min(len(data), maxShown)])
}

// decode reads the fields of a header that are the same in all formats, and
// how much content follows.
func (a *archive) decode(b *block) error {
	if !a.member.decode(b) {
		return errHeader("a field is no number")
	}
	return a.setContent()
}

// setContent makes as much content follow as the size of the member says.
func (a *archive) setContent() error {
	a.left = 0
	if hasContent(a.member.flag) {
		a.left = a.member.size
	}
	if a.left < 0 {
		return errHeader("its size is negative")
	}
	a.padding = -a.left & (blockSize - 1)
	return nil
}

// complete sets what the header b, and what preceded it, say of the member.
func (a *archive) complete(b *block) error {
	m := &a.member
	a.setNames(b)
	if m.flag == typeOldRegular {
		m.flag = typeRegular
		if strings.HasSuffix(m.name, "/") {
			m.flag = typeDir
		}
	}
	if a.records.any && !a.records.apply(m) {
		return errHeader("an extended header has a value that is no number")
	}
	if err := a.setContent(); err != nil {
		return err
	}
	m.attributes = a.records.attributes()
	return a.openSparse(b)
}

// setNames takes the names from where they are the longest: the headers that GNU
// tar writes for them, or records, or else the fields.
func (a *archive) setNames(b *block) {
	m := &a.member
	switch {
	case a.longName != "":
		m.name = a.longName
	case len(a.records.path) > 0:
		m.name = string(a.records.path)
	default:
		m.name = b.name()
	}
	switch {
	case a.longLink != "":
		m.link = a.longLink
	case len(a.records.linkpath) > 0:
		m.link = string(a.records.linkpath)
	default:
		m.link = string(text(b[linkAt:magicAt]))
	}
}

// openSparse reads the map of a member that is a sparse file.
func (a *archive) openSparse(b *block) (err error) {
	m := &a.member
	var fragments []fragment
	switch version := a.records.sparse.version(); {
	case m.flag == typeGNUSparse:
		var ok bool
		m.size, ok = number(b[gnuRealSizeAt:gnuRealEnd])
		if b.format() != formatGNU || !ok {
			return errSparse
		}
		fragments, err = a.readOldMap(b)
	case version == notSparse:
		return nil
	case !hasContent(m.flag) || !a.records.sparse.apply(m):
		return errSparse
	case version == sparse0:
		fragments, err = a.records.sparse.fragments()
	default:
		fragments, err = a.readMap()
	}
	if err == nil {
		err = checkFragments(fragments, m.size, a.left)
	}
	a.sparse = sparseContent{fragments: fragments, end: m.size}
	return err
}

// readRecords reads the content of an extended header.
func (a *archive) readRecords() (err error) {
	a.records.text, err = a.readSpecial(a.records.text)
	if err == nil && !a.records.parse() {
		err = errHeader("an extended header has a record that is none")
	}
	return err
}

// readName reads a long name.
func (a *archive) readName() (_ string, err error) {
	a.special, err = a.readSpecial(a.special)
	return string(text(a.special)), err
}

// readSpecial reads the content of a member that is about the next one. It is
// copied: what a header says may lie in more parts than there are buffers.
func (a *archive) readSpecial(buf []byte) ([]byte, error) {
	if a.left > maxHeader {
		return nil, fmt.Errorf("an extended header of more than %d bytes", maxHeader)
	}
	buf, err := a.stream.append(buf[:0], a.left)
	if err != nil {
		return nil, err
	}
	a.left = 0
	return buf, a.skipMember()
}

// errHeader is the error for a header that is none.
func errHeader(reason string) error {
	return fmt.Errorf("invalid tar header: %s", reason)
}

// noEnd makes the stream's end an error where it must not be.
func noEnd(err error) error {
	if isEnd(err) {
		return io.ErrUnexpectedEOF
	}
	return err
}
