package extract

import (
	"context"
	"errors"
	"io"

	"github.com/drengskapur/fastmcp-runner/internal/ahead"
)

// How much of a compressed blob is read ahead. The network has buffers of its
// own; these only have to hide that entries take unequal time.
const (
	blobBuffers = 4
	blobBuffer  = 128 << 10
)

// blob is the compressed stream of a layer, opened and read by a goroutine of
// its own.
type blob struct {
	*ahead.Reader

	cancel context.CancelFunc // ends a read that waits for the network
	source *source
}

func openBlob(ctx context.Context, l Layer) *blob {
	ctx, cancel := context.WithCancel(ctx)
	src := &source{open: func() (io.ReadCloser, error) { return l.Open(ctx) }}
	return &blob{
		Reader: ahead.NewReader(blobBuffers, ahead.Copy(src, blobBuffer)),
		cancel: cancel,
		source: src,
	}
}

// stop ends the reading and closes the stream. Nobody reads from it any more.
func (b *blob) stop() {
	b.cancel()
	// Nothing was written to the stream: its end is no news.
	_ = errors.Join(b.Close(), b.source.close())
}

// source opens a stream when it is first read.
type source struct {
	open   func() (io.ReadCloser, error)
	stream io.ReadCloser
}

// Read reads from the stream.
func (s *source) Read(p []byte) (n int, err error) {
	if s.stream == nil {
		if s.stream, err = s.open(); err != nil {
			return 0, err
		}
	}
	return s.stream.Read(p)
}

func (s *source) close() error {
	if s.stream == nil {
		return nil
	}
	return s.stream.Close()
}
