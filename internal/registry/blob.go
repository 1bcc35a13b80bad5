package registry

import (
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// blob is a verified stream over as many connections as it takes. The state of
// the hash outlives them, so that no byte is hashed, or handed out, twice.
type blob struct {
	digest v1.Hash
	size   int64
	hasher hash.Hash
	offset int64
	body   io.ReadCloser // nil: not connected.
	fault  error         // Why the last connection broke, until it is waited out.
	err    error         // What every further Read returns.

	open     func(offset int64) (io.ReadCloser, error) // One attempt.
	wait     func(error) error                         // As patience.wait.
	progress func()                                    // As patience.progress.
	explain  func(error) error                         // Wraps at the door of the package.
}

// Read reads, and reconnects as long as that makes progress.
func (b *blob) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for b.err == nil && b.offset < b.size {
		if err := b.connect(); err != nil {
			return 0, err
		}
		n, err := b.body.Read(p[:min(int64(len(p)), b.size-b.offset)])
		if err != nil {
			b.disconnect(err)
		}
		if n > 0 {
			b.advance(p[:n])
			return n, nil
		}
	}
	if b.err == nil {
		b.err = b.verdict()
	}
	return 0, b.err
}

// connect connects if need be, after the time that the last fault asks for.
func (b *blob) connect() error {
	for b.body == nil {
		err := b.fault
		b.fault = nil
		if err == nil {
			b.body, err = b.open(b.offset)
		}
		if err == nil {
			return nil
		}
		if err := b.wait(err); err != nil {
			b.err = b.explain(fmt.Errorf("%w; %d of %d bytes had come", err, b.offset, b.size))
			return b.err
		}
	}
	return nil
}

func (b *blob) disconnect(err error) {
	b.fault = broken(err)
	_ = b.body.Close() // It was only read from.
	b.body = nil
}

// broken makes the end of a stream that was to go on a fault of its connection.
func broken(err error) error {
	if errors.Is(err, io.EOF) {
		return &linkError{host: "the connection", err: io.ErrUnexpectedEOF}
	}
	return err
}

func (b *blob) advance(p []byte) {
	_, _ = b.hasher.Write(p) // A hash never fails.
	b.offset += int64(len(p))
	b.progress()
}

// verdict is io.EOF for a blob that is what its digest says.
func (b *blob) verdict() error {
	if err := checkSum(b.hasher, b.digest); err != nil {
		return b.explain(err)
	}
	return io.EOF
}

// Close ends the stream, wherever it is.
func (b *blob) Close() error {
	b.err = http.ErrBodyReadAfterClose
	if b.body == nil {
		return nil
	}
	err := b.body.Close()
	b.body = nil
	return err
}
