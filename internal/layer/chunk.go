package layer

import (
	"fmt"
	"io"

	"github.com/drengskapur/fastmcp-runner/internal/ahead"
)

// Chunk is a piece of a File's content: bytes, or a hole of a sparse file.
type Chunk struct {
	// Data are the next bytes of the content, where the decoder put them; they
	// are not to be changed, and stay valid until Release.
	Data []byte
	// Hole is how many zero bytes come next instead of Data, which is then
	// empty: the writer seeks over them, and sets the file's size if a hole is
	// the last chunk.
	Hole int64

	part *ahead.Part
}

// Release gives the memory of Data back to the decoder. It is called exactly
// once for each chunk, by any goroutine.
func (c Chunk) Release() {
	if c.part != nil {
		c.part.Release()
	}
}

// Chunk returns the next piece of the current entry's content if it is a File,
// and io.EOF after the last; any other kind has none. Chunks that are not asked
// for are skipped by Next.
//
// The memory of a layer is a fixed number of blocks, and a chunk keeps the block
// that it lies in from being filled again: Chunk and Next wait until chunks that
// were handed out before are released. So whoever holds one must not need the
// next one before releasing it.
func (r *Reader) Chunk() (Chunk, error) {
	switch {
	case r.err != nil:
		return Chunk{}, r.err
	case r.current.Kind != File:
		return Chunk{}, io.EOF
	}
	c, err := r.archive.chunk()
	if err != nil && !isEnd(err) {
		err = r.fail(fmt.Errorf("cannot read the content: %w", err))
	}
	return c, err
}

// chunk returns the next piece of the current member's content, and io.EOF after
// the last.
func (a *archive) chunk() (Chunk, error) {
	most := a.left
	if a.sparse.pos < a.sparse.end {
		hole, data := a.sparse.next()
		if hole > 0 {
			return Chunk{Hole: hole}, nil
		}
		most = data
	}
	if most == 0 {
		return Chunk{}, io.EOF
	}
	c, err := a.stream.chunk(most)
	a.left -= int64(len(c.Data))
	if a.sparse.pos < a.sparse.end {
		a.sparse.advance(len(c.Data))
	}
	return c, err
}
