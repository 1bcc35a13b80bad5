package layer

import (
	"bytes"
	"errors"
	"fmt"
	"math"
)

// fragment is a part of a sparse file that the archive holds; what lies between
// the fragments are holes.
type fragment struct{ offset, length int64 }

// sparsePrefix begins the keywords of the "PAX Format" for sparse files (GNU tar
// manual, "Storing Sparse Files").
const sparsePrefix = "GNU.sparse."

// sparseRecords are the records of a sparse file in an extended header. Version
// 1.0 of the format has the map in front of the content, 0.1 in a record, and
// 0.0 in two records for each fragment.
type sparseRecords struct {
	major, minor, name, size, realSize []byte

	blocks []byte // how many fragments the map has
	text   []byte // offset and length of each fragment, separated by commas
	pairs  []byte // the same as text, from the records of version 0.0
	halves int    // how many offsets and lengths those were
}

// set stores the value of a keyword without its prefix. It reports false unless
// the offsets and the lengths of version 0.0 take turns.
func (s *sparseRecords) set(key string, value []byte) bool {
	switch key {
	case "major":
		s.major = value
	case "minor":
		s.minor = value
	case "name":
		s.name = value
	case "size":
		s.size = value
	case "realsize":
		s.realSize = value
	case "numblocks":
		s.blocks = value
	case "map":
		s.text = value
	case "offset":
		return s.addHalf(0, value)
	case "numbytes":
		return s.addHalf(1, value)
	}
	return true
}

func (s *sparseRecords) addHalf(half int, value []byte) bool {
	if s.halves%2 != half || bytes.IndexByte(value, ',') >= 0 {
		return false
	}
	if s.halves > 0 {
		s.pairs = append(s.pairs, ',')
	}
	s.pairs = append(s.pairs, value...)
	s.halves++
	return true
}

// sparseVersion is the version of the format.
type sparseVersion uint8

const (
	notSparse sparseVersion = iota
	sparse0                 // the map is in the records
	sparse1                 // the map is in front of the content
)

// version tells the format of the file. The versions 0 need not say so, and one
// that nobody knows is no sparse file.
func (s *sparseRecords) version() sparseVersion {
	switch major, minor := string(s.major), string(s.minor); {
	case major == "0" && (minor == "0" || minor == "1"):
		return sparse0
	case major == "1" && minor == "0":
		return sparse1
	case major == "" && minor == "" && len(s.fragmentText()) > 0:
		return sparse0
	}
	return notSparse
}

// fragmentText returns the map of the versions 0.
func (s *sparseRecords) fragmentText() []byte {
	if s.halves > 0 {
		return s.pairs
	}
	return s.text
}

// apply sets what the records say of the file apart from its map.
func (s *sparseRecords) apply(m *member) bool {
	if len(s.name) > 0 {
		m.name = string(s.name)
	}
	if len(s.size) > 0 {
		return setDecimal(&m.size, s.size)
	}
	return setDecimal(&m.size, s.realSize)
}

var errSparse = errors.New("invalid tar header: no map of a sparse file")

// fragments parses the map of the versions 0.
func (s *sparseRecords) fragments() ([]fragment, error) {
	rest := s.fragmentText()
	more := len(rest) > 0
	fragments, err := readFragments(func() (int64, error) {
		if !more {
			return 0, errSparse
		}
		var word []byte
		word, rest, more = bytes.Cut(rest, []byte(","))
		return sparseNumber(word)
	}, s.blocks)
	if err == nil && more {
		err = errSparse
	}
	return fragments, err
}

// readFragments returns as many fragments as count says; next returns their
// offsets and lengths in turns.
func readFragments(next func() (int64, error), count []byte) ([]fragment, error) {
	n, err := sparseNumber(count)
	if err != nil {
		return nil, err
	}
	var fragments []fragment // it grows as they come: n may be a lie
	for range n {
		offset, err := next()
		if err != nil {
			return nil, err
		}
		length, err := next()
		if err != nil {
			return nil, err
		}
		fragments = append(fragments, fragment{offset, length})
	}
	return fragments, nil
}

func sparseNumber(digits []byte) (int64, error) {
	n, ok := decimal(digits)
	if !ok || n < 0 {
		return 0, errSparse
	}
	return n, nil
}

// checkFragments makes sure that the fragments lie within the size of their
// file, one behind the other, and that their content has the given length.
func checkFragments(fragments []fragment, size, content int64) error {
	var end, sum int64
	for _, f := range fragments {
		if f.length < 0 || f.offset < end || f.offset > math.MaxInt64-f.length {
			return errSparse
		}
		end = f.offset + f.length
		sum += f.length
	}
	switch {
	case end > size || size < 0:
		return errSparse
	case sum != content:
		return fmt.Errorf("the map of a sparse file has %d bytes, the archive %d", sum, content)
	}
	return nil
}

// sparseContent is what is left of the content of a sparse file; nothing of any
// other.
type sparseContent struct {
	fragments []fragment
	pos, end  int64
}

// next returns what comes next: a hole, which it passes by, or data.
func (s *sparseContent) next() (hole, data int64) {
	for len(s.fragments) > 0 && s.fragments[0].length == 0 {
		s.fragments = s.fragments[1:]
	}
	begin := s.end
	if len(s.fragments) > 0 {
		begin = s.fragments[0].offset
		data = s.fragments[0].length
	}
	if begin > s.pos {
		hole, data = begin-s.pos, 0
	}
	s.pos += hole
	return hole, data
}

// advance passes by n bytes of data.
func (s *sparseContent) advance(n int) {
	s.pos += int64(n)
	s.fragments[0].offset += int64(n)
	s.fragments[0].length -= int64(n)
}
