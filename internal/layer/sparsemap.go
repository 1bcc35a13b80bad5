package layer

import (
	"bytes"
	"fmt"
)

// Of the sparse formats, two have their map in blocks of their own, of which
// there may be as many as extended headers may have bytes.

// errLongMap says that a map has more blocks.
func errLongMap() error {
	return fmt.Errorf("the map of a sparse file has more than %d bytes", maxHeader)
}

// sparseEntry is the length of an entry of the old map: two numeric fields of 12
// bytes, offset and length. The first byte of those that are not used is zero.
const sparseEntry = 24

// readOldMap reads the map of the "Old GNU Format": four entries in the header,
// and 21 in each of the blocks behind it. The byte after the entries says
// whether a block follows.
func (a *archive) readOldMap(b *block) ([]fragment, error) {
	var fragments []fragment
	table := b[gnuSparseAt : gnuExtendedAt+1]
	for size := 0; ; size += blockSize {
		for len(table) > sparseEntry && table[0] != 0 {
			offset, ok1 := number(table[:sparseEntry/2])
			length, ok2 := number(table[sparseEntry/2 : sparseEntry])
			if !ok1 || !ok2 {
				return nil, errSparse
			}
			fragments = append(fragments, fragment{offset, length})
			table = table[sparseEntry:]
		}
		if table[len(table)-1] == 0 {
			return fragments, nil
		}
		if size >= maxHeader {
			return nil, errLongMap()
		}
		next, err := a.stream.take()
		if err != nil {
			return nil, noEnd(err)
		}
		table = next[:blockSize/sparseEntry*sparseEntry+1]
	}
}

// readMap reads the map of version 1.0, which begins the content: lines with the
// number of fragments and then the offset and length of each, padded to whole
// blocks.
func (a *archive) readMap() ([]fragment, error) {
	lines := mapLines{archive: a}
	count, err := lines.next()
	if err != nil {
		return nil, err
	}
	return readFragments(func() (int64, error) {
		line, err := lines.next()
		if err != nil {
			return 0, err
		}
		return sparseNumber(line)
	}, bytes.Clone(count))
}

// mapLines are the lines of a map of version 1.0.
type mapLines struct {
	archive *archive
	rest    []byte // what is left of the current block
	size    int    // how many bytes the map has so far
	line    []byte
}

// next returns a line, valid until the next call.
func (l *mapLines) next() ([]byte, error) {
	l.line = l.line[:0]
	for {
		begin, rest, found := bytes.Cut(l.rest, []byte("\n"))
		l.line, l.rest = append(l.line, begin...), rest
		if found {
			return l.line, nil
		}
		if err := l.load(); err != nil {
			return nil, err
		}
	}
}

// load reads the next block of the map, which counts as content of the member.
func (l *mapLines) load() (err error) {
	switch {
	case l.size >= maxHeader:
		return errLongMap()
	case l.archive.left < blockSize:
		return errSparse
	}
	l.size += blockSize
	l.archive.left -= blockSize
	l.rest, err = l.archive.stream.take()
	return noEnd(err)
}
