package layer

import (
	"archive/tar"
	"cmp"
	"errors"
	"fmt"
	"io"
)

// What a Limits with zero fields allows.
const (
	DefaultMaxBytes   = 16 << 30
	DefaultMaxEntries = 2_000_000
)

// maxHeader is how long an extended header may be: archive/tar's own limit,
// repeated here because its error does not say it.
const maxHeader = 1 << 20

// What a layer exceeded. The errors that wrap these say the limit's value.
var (
	ErrTooManyBytes   = errors.New("too many bytes when unpacked")
	ErrTooManyEntries = errors.New("too many entries")
)

// Limits bounds what one layer may hold.
type Limits struct {
	// Bytes bounds the length of the decompressed stream, and also the sum of
	// the sizes of all files, which is more if some are sparse.
	// 0 means DefaultMaxBytes.
	Bytes int64
	// Entries bounds the members of the archive, skipped ones included.
	// 0 means DefaultMaxEntries.
	Entries int64
	// Used is what other layers already took from these limits: with the Used
	// of one layer's Reader for the next, the limits are those of an image.
	Used Usage
}

// Usage is what counts against Limits.
type Usage struct {
	Bytes, Entries int64
}

func (l Limits) withDefaults() Limits {
	l.Bytes = cmp.Or(l.Bytes, DefaultMaxBytes)
	l.Entries = cmp.Or(l.Entries, DefaultMaxEntries)
	return l
}

func tooManyBytes(limit int64) error {
	return fmt.Errorf("%w: more than %d in all", ErrTooManyBytes, limit)
}

// meter counts the bytes of the decompressed stream and fails beyond limit.
type meter struct {
	r           io.Reader
	used, limit int64
}

// Read reads from the stream. It asks for one byte more than is allowed, which
// tells a stream that ends at the limit from one that goes on.
func (m *meter) Read(p []byte) (int, error) {
	left := max(m.limit-m.used, 0)
	if int64(len(p))-1 > left {
		p = p[:left+1]
	}
	n, err := m.r.Read(p)
	if int64(n) > left {
		n, err = int(left), tooManyBytes(m.limit)
	}
	m.used += int64(n)
	return n, err
}

// explainHeader adds to an error of archive/tar the limit that it is about.
func explainHeader(err error) error {
	if errors.Is(err, tar.ErrFieldTooLong) {
		return fmt.Errorf("an extended header of more than %d bytes: %w", maxHeader, err)
	}
	return err
}
