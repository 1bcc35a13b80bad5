package registry

import (
	"fmt"
	"io"
)

// blob is a feed at the door of the package.
type blob struct {
	*feed

	explain func(error) error
}

// Read reads.
func (b *blob) Read(p []byte) (int, error) {
	n, err := b.feed.Read(p)
	if err == nil || err == io.EOF { //nolint:errorlint // a feed ends with io.EOF itself
		return n, err
	}
	return n, b.fault(err)
}

// fault says how far the blob had come.
func (b *blob) fault(err error) error {
	return b.explain(fmt.Errorf("%w; %d of %d bytes had come", err, b.offset, b.size))
}
