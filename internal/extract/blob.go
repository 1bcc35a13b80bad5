package extract

import (
	"context"
	"errors"
	"io"

	"github.com/drengskapur/fastmcp-runner/internal/ahead"
)

// How much of a compressed blob is read ahead: while one layer is applied, the
// next one is fetched so far, so that no layer waits for the registry.
const (
	blobBuffers = 8
	blobBuffer  = 256 << 10
)

// blob is the compressed stream of a layer, opened and read by a goroutine of
// its own.
type blob struct {
	*ahead.Reader

	cancel context.CancelFunc
	source *source
}

// openAhead begins to read the blob of layer i; nil if there is no such layer.
func openAhead(ctx context.Context, layers []Layer, i int) *blob {
	if i >= len(layers) {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	src := &source{open: func() (io.ReadCloser, error) { return layers[i].Open(ctx) }}
	return &blob{
		Reader: ahead.NewReader(ahead.Buffers(blobBuffers, blobBuffer), ahead.Copy(src)),
		cancel: cancel,
		source: src,
	}
}

// stop ends the reading, under way or not, and closes the stream. It may be
// called again.
func (b *blob) stop() {
	if b == nil || b.cancel == nil {
		return
	}
	b.cancel() // a read that waits for the network ends now
	b.cancel = nil
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
