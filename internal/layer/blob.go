package layer

import (
	"io"
	"sync"
)

// blobReader remembers how a blob ended. Decoders reword the errors of their
// source, and the zstd decoder even takes an io.ErrUnexpectedEOF between two
// frames for the end: only the blob can say that it was read whole.
type blobReader struct {
	r io.Reader

	mu  sync.Mutex // the decoder reads in a goroutine of its own
	err error
}

// Read reads from the blob.
func (b *blobReader) Read(p []byte) (int, error) {
	if err := b.ended(); err != nil {
		return 0, err
	}
	n, err := b.r.Read(p)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.err = err
	return n, err
}

// ended returns how the blob ended, nil if it has not yet.
func (b *blobReader) ended() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}

// isEnd reports whether err is io.EOF itself, as the contract of io.Reader has
// it: an error that wraps io.EOF is a failure, such as a lost connection.
func isEnd(err error) bool {
	return err == io.EOF //nolint:errorlint // errors.Is would take failures for the end
}
