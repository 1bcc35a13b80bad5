package registry

import (
	"fmt"
	"hash"
	"io"
	"net/http"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// blob is a verified stream: it hashes the bytes of a feed in their order, and
// ends well only if there are as many as the blob has and the digest is right.
// The state of the hash outlives all connections of the feed.
type blob struct {
	digest  v1.Hash
	hasher  hash.Hash
	feed    *feed
	err     error             // What every further Read returns.
	explain func(error) error // Wraps at the door of the package.
}

// Read reads.
func (b *blob) Read(p []byte) (int, error) {
	if len(p) == 0 || b.err != nil {
		return 0, b.err
	}
	n, err := b.feed.Read(p)
	_, _ = b.hasher.Write(p[:n]) // A hash never fails.
	if n > 0 {
		return n, nil
	}
	b.err = b.verdict(err)
	return 0, b.err
}

// verdict is io.EOF for a feed that ended, with what the digest says.
func (b *blob) verdict(err error) error {
	if err != io.EOF { //nolint:errorlint // a feed ends with io.EOF itself
		return b.explain(fmt.Errorf("%w; %d of %d bytes had come", err, b.feed.offset, b.feed.size))
	}
	if err := checkSum(b.hasher, b.digest); err != nil {
		return b.explain(err)
	}
	return io.EOF
}

// Close ends the stream, wherever it is.
func (b *blob) Close() error {
	b.err = http.ErrBodyReadAfterClose
	return b.feed.Close()
}
