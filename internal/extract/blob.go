package extract

import (
	"context"
	"errors"
	"io"

	"github.com/drengskapur/fastmcp-runner/internal/ahead"
)

// How much of the compressed blobs is read ahead. The network has buffers of
// its own; these only have to hide that entries take unequal time.
const (
	blobBuffers = 4
	blobBuffer  = 256 << 10
	// blobsAhead is how many blobs are opened beside the one whose layer is
	// applied: together as many as Docker's engine asks a registry for.
	blobsAhead = 2
)

// blobs opens the blobs of layers in order, some ahead of who takes them, so
// that no layer waits for the answer to its request.
type blobs struct {
	ctx    context.Context //nolint:containedctx // that of one Extract, for what it opens later
	layers []Layer         // those not opened yet
	opened []*blob         // those not taken yet
}

func openBlobs(ctx context.Context, layers []Layer) *blobs {
	return &blobs{ctx: ctx, layers: layers}
}

// take returns the next blob, which the caller stops.
func (b *blobs) take() *blob {
	for len(b.layers) > 0 && len(b.opened) < 1+blobsAhead {
		b.opened = append(b.opened, openBlob(b.ctx, b.layers[0]))
		b.layers = b.layers[1:]
	}
	next := b.opened[0]
	b.opened = b.opened[1:]
	return next
}

// stop stops the blobs that were not taken.
func (b *blobs) stop() {
	for _, blob := range b.opened {
		blob.stop()
	}
}

// blob is the compressed stream of a layer, opened and read by a goroutine of
// its own.
type blob struct {
	*ahead.Reader

	cancel context.CancelFunc
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

// stop ends the reading, under way or not, and closes the stream. It may be
// called again.
func (b *blob) stop() {
	if b.cancel == nil {
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
