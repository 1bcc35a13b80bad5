package layer

import (
	"fmt"
	"math"
	"strings"
	"time"
)

const (
	// modeBits are the bits that chmod(2) takes.
	modeBits = 0o7777
	// maxID is the largest owner: chown(2) takes 2^32-1 for "leave as it is",
	// which would leave a file to whoever unpacks it.
	maxID = math.MaxUint32 - 1
	// maxSeconds bounds modification times on both sides of 1970, so that
	// time.Time.UnixNano can tell them: to the years 1678 and 2262.
	maxSeconds = math.MaxInt64 / int64(time.Second)
)

// member is a member of an archive as its headers have it.
type member struct {
	flag           byte
	name, link     string
	size           int64 // of a sparse file, with its holes
	mode, uid, gid int64
	mtime          time.Time
	attributes     map[string]string
}

// decode sets the fields that all formats have in the same place and that are no
// names. It reports false if a numeric field of the header's format is none.
func (m *member) decode(b *block) bool {
	n := numbers{valid: true}
	m.flag = b[typeAt]
	m.mode = n.field(b[modeAt:uidAt])
	m.uid = n.field(b[uidAt:gidAt])
	m.gid = n.field(b[gidAt:sizeAt])
	m.size = n.field(b[sizeAt:mtimeAt])
	m.mtime = boundTime(n.field(b[mtimeAt:checksumAt]), 0)
	format := b.format()
	if format != formatV7 {
		n.field(b[majorAt:minorAt])
		n.field(b[minorAt:prefixAt])
	}
	if format == formatSTAR {
		n.field(b[starAtimeAt:starCtimeAt])
		n.field(b[starCtimeAt:starCtimeEnd])
	}
	return n.valid
}

// newEntry turns a member into an Entry. It reports false for members that are
// no part of the image: global headers and AUFS metadata.
func newEntry(m *member) (Entry, bool, error) {
	if m.flag == typeGlobal {
		return Entry{}, false, nil
	}
	name, err := cleanPath(m.name)
	if err != nil {
		return Entry{}, false, err
	}
	if strings.Contains(name, whiteoutPrefix) {
		if isAUFSMetadata(name) {
			return Entry{}, false, nil
		}
		if ent, ok, err := parseWhiteout(name); ok || err != nil {
			return ent, ok, err
		}
	}
	ent := Entry{
		Path:    name,
		Kind:    kindOf(m),
		Mode:    uint32(m.mode & modeBits),
		UID:     int(m.uid),
		GID:     int(m.gid),
		ModTime: m.mtime,
		Xattrs:  m.attributes,
	}
	if ent.Kind == File {
		ent.Size = m.size
	}
	if ent.Linkname, err = linkname(ent.Kind, m.link); err != nil {
		return Entry{}, false, err
	}
	return ent, true, check(ent)
}

// check refuses what no file system can hold.
func check(ent Entry) error {
	if ent.Path == "" && ent.Kind != Dir {
		return fmt.Errorf("the root is a directory and cannot become a %s", ent.Kind)
	}
	if ent.UID < 0 || ent.UID > maxID || ent.GID < 0 || ent.GID > maxID {
		return fmt.Errorf("its owner %d:%d is not within 0 to %d", ent.UID, ent.GID, maxID)
	}
	return nil
}

// kindOf returns the kind that a member asks for. Old archives mark a directory
// by a slash at the end of its name only.
func kindOf(m *member) Kind {
	switch m.flag {
	case typeRegular, typeContiguous, typeGNUSparse:
		if strings.HasSuffix(m.name, "/") {
			return Dir
		}
		return File
	case typeDir:
		return Dir
	case typeSymlink:
		return Symlink
	case typeLink:
		return HardLink
	case typeFifo:
		return Fifo
	case typeChar, typeBlock:
		return Device
	}
	return Unknown
}

// boundTime returns the time that is so many seconds and nanoseconds, of the
// same sign, after 1970, clamped to the instants that maxSeconds describes.
func boundTime(seconds, nanoseconds int64) time.Time {
	switch {
	case seconds >= maxSeconds:
		return time.Unix(maxSeconds, 0)
	case seconds < -maxSeconds, seconds == -maxSeconds && nanoseconds < 0:
		return time.Unix(-maxSeconds, 0)
	}
	return time.Unix(seconds, nanoseconds)
}
