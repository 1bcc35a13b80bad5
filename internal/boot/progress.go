package boot

import (
	"context"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/drengskapur/fastmcp-runner/internal/image"
)

// Progress counts what has been read of an image's layers. It is safe for
// concurrent use: the start writes it, whoever shows it reads.
type Progress struct {
	layers, done atomic.Int64
	total, read  atomic.Int64
}

// Snapshot is the state of a Progress at one moment.
type Snapshot struct {
	Layers, Done int64 // layers in all, and those read to their end
	Total, Read  int64 // bytes of compressed layers
}

// Snapshot returns the counts of now. Total is zero until the layers are known.
func (p *Progress) Snapshot() Snapshot {
	return Snapshot{Layers: p.layers.Load(), Done: p.done.Load(), Total: p.total.Load(), Read: p.read.Load()}
}

func (p *Progress) begin(img *image.Image) {
	p.layers.Store(int64(len(img.Layers)))
	p.total.Store(totalSize(img))
}

// countedLayer counts what is read of a layer. One that is opened again, for the
// content of hard links, is no further progress.
type countedLayer struct {
	image.Layer

	progress *Progress
	opened   atomic.Bool
}

// Open opens the layer.
func (c *countedLayer) Open(ctx context.Context, offset int64) (io.ReadCloser, error) {
	blob, err := c.Layer.Open(ctx, offset)
	if err != nil || c.opened.Swap(true) {
		return blob, err
	}
	return countedBlob{blob, c.progress}, nil
}

// countedBlob counts what is read of a layer's blob.
type countedBlob struct {
	io.ReadCloser

	progress *Progress
}

// Read reads from the blob.
func (c countedBlob) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.progress.read.Add(int64(n))
	if err == io.EOF { // bare: one that is wrapped is a failure
		c.progress.done.Add(1)
	}
	return n, err
}

// Size is a number of bytes that prints as people read it, in powers of 1000
// like the sizes that registries show.
type Size int64

// String returns the size with its unit, such as "52.1 MB".
func (s Size) String() string {
	units := []string{"B", "kB", "MB", "GB", "TB"}
	value, unit := float64(s), 0
	for value >= 1000 && unit < len(units)-1 {
		value /= 1000
		unit++
	}
	if unit == 0 {
		return fmt.Sprintf("%d B", int64(s))
	}
	return fmt.Sprintf("%.1f %s", value, units[unit])
}
