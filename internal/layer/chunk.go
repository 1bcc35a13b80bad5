package layer

import (
	"fmt"
	"io"
)

// Chunk is a piece of a File's content: bytes, or a hole of a sparse file.
type Chunk struct {
	// Data are the next bytes of the content, not to be changed. They stay
	// valid until Release.
	Data []byte
	// Hole is how many zero bytes come next instead of Data, which is then
	// empty: the writer seeks over them, and sets the file's size if a hole is
	// the last chunk.
	Hole int64
}

// Release gives the memory of Data back to the decoder. It is called exactly
// once for each chunk, by any goroutine.
func (c Chunk) Release() {}

// chunkSize is how much of the content one chunk holds at most.
const chunkSize = 64 << 10

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
	data := make([]byte, min(chunkSize, r.current.Size+1))
	n, err := r.tar.Read(data)
	switch {
	case n > 0:
		return Chunk{Data: data[:n]}, nil // an error stays with the archive
	case err == nil:
		return r.Chunk()
	case isEnd(err):
		return Chunk{}, io.EOF
	}
	return Chunk{}, r.fail(fmt.Errorf("cannot read the content: %w", err))
}
