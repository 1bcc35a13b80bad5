package layer

import (
	"cmp"
	"errors"
	"fmt"
)

// What a Limits with zero fields allows.
const (
	DefaultMaxBytes   = 16 << 30
	DefaultMaxEntries = 2_000_000
)

// maxHeader is how many bytes an extended header may have, or the map of a sparse
// file.
const maxHeader = 1 << 20

// What a layer exceeded. The errors that wrap these say the limit's value.
var (
	ErrTooManyBytes   = errors.New("too many bytes when unpacked")
	ErrTooManyEntries = errors.New("too many entries")
)

// Limits bounds what one layer may hold, or all of an image: see Check.
type Limits struct {
	// Bytes bounds the length of the decompressed stream, and also the sum of
	// the sizes of all files, which is more if some are sparse.
	// 0 means DefaultMaxBytes.
	Bytes int64
	// Entries bounds the members of the archive, skipped ones included.
	// 0 means DefaultMaxEntries.
	Entries int64
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

// Check returns an error if used is more than the limits allow.
func (l Limits) Check(used Usage) error {
	l = l.withDefaults()
	switch {
	case used.Bytes > l.Bytes:
		return tooManyBytes(l.Bytes)
	case used.Entries > l.Entries:
		return tooManyEntries(l.Entries)
	}
	return nil
}

func tooManyEntries(limit int64) error {
	return fmt.Errorf("%w: more than %d", ErrTooManyEntries, limit)
}

func tooManyBytes(limit int64) error {
	return fmt.Errorf("%w: more than %d in all", ErrTooManyBytes, limit)
}
