package layer

import (
	"errors"
	"io"
)

// errTrailing is the error of a decoder that stops before the blob's end.
var errTrailing = errors.New("the blob goes on after the end of the compressed data")

// blobReader remembers how a blob ended. Decoders reword the errors of their
// source, and the zstd decoder even takes an io.ErrUnexpectedEOF between two
// frames for the end: only the blob can say that it was read whole.
type blobReader struct {
	r   io.Reader
	err error
}

// Read reads from the blob.
func (b *blobReader) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.r.Read(p)
	b.err = err
	return n, err
}

// end returns io.EOF if the blob ended as it should, and else what is wrong.
func (b *blobReader) end() error {
	if b.err == nil {
		return errTrailing
	}
	return b.err
}

// isEnd reports whether err is io.EOF itself, as the contract of io.Reader has
// it: an error that wraps io.EOF is a failure, such as a lost connection.
func isEnd(err error) bool {
	return err == io.EOF //nolint:errorlint // errors.Is would take failures for the end
}
