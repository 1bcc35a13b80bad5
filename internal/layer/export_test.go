package layer

import (
	"bytes"
	"io"
	"strings"
	"time"
)

// Member is a member of an archive as its headers have it, so that the parser
// can be held against archive/tar.
type Member struct {
	Flag           byte
	Name, Link     string
	Size           int64
	Mode, UID, GID int64
	ModTime        time.Time
	Attributes     map[string]string
	Content        string
}

// GlobalHeader is the member that stands for a global header.
func GlobalHeader() Member { return Member{Flag: typeGlobal} }

// BoundTime is boundTime.
func BoundTime(seconds, nanoseconds int64) time.Time { return boundTime(seconds, nanoseconds) }

// ReadMembers returns the members of an archive up to its end or an error, with
// their content if it is wanted. A content that is longer than limit is an error
// too.
func ReadMembers(archive []byte, withContent bool, limit int64) (members []Member, err error) {
	r := NewReader(bytes.NewReader(archive), Limits{})
	defer r.Close()
	if err := r.open(); err != nil {
		return nil, err
	}
	for {
		m, err := r.archive.next()
		if isEnd(err) {
			return members, nil
		}
		if err != nil {
			return members, err
		}
		found := Member{m.flag, m.name, m.link, m.size, m.mode, m.uid, m.gid, m.mtime, m.attributes, ""}
		if withContent {
			if found.Content, err = r.archive.readContent(limit); err != nil {
				return members, err
			}
		}
		members = append(members, found)
	}
}

// ErrLimit says that content was longer than the limit of ReadMembers.
var ErrLimit = io.ErrShortBuffer

func (a *archive) readContent(limit int64) (string, error) {
	var b strings.Builder
	for {
		c, err := a.chunk()
		if isEnd(err) {
			return b.String(), nil
		}
		if err != nil {
			return "", err
		}
		if int64(b.Len())+int64(len(c.Data))+c.Hole > limit {
			return "", ErrLimit
		}
		b.Write(c.Data)
		b.WriteString(strings.Repeat("\x00", int(c.Hole)))
		c.Release()
	}
}
