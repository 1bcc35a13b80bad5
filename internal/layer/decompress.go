package layer

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"

	"github.com/drengskapur/fastmcp-runner/internal/ahead"
	"github.com/drengskapur/fastmcp-runner/internal/inflate"
)

// What a stream begins with: RFC 1952 section 2.3.1, and RFC 8878 section 3.1
// for Zstandard frames and skippable frames (0x184D2A50 to 0x184D2A5F).
const (
	gzipMagic     = "\x1f\x8b"
	zstdMagic     = "\x28\xb5\x2f\xfd"
	skippableTail = "\x2a\x4d\x18"
)

// maxZstdWindow is the memory that a frame may ask for: what zstd(1) writes
// with --long and reads without further options. Up to level 19 it asks for 8 MiB
// at most. The system gives the memory as the decoder fills it, so that a frame
// that only claims to need much costs little.
const maxZstdWindow = 128 << 20

// How far the decoder is ahead of who reads the entries, and of who writes their
// content: enough to hide that files take unequal time to write.
const (
	aheadBlocks = 4
	zstdBuffer  = 512 << 10
	plainBuffer = 128 << 10
)

// decoder is the content of a blob, decompressed in a goroutine of its own
// because that costs as much as writing the files.
type decoder struct {
	*ahead.Reader

	release func() // what the decoder holds beside the buffers
}

// close ends the decoder. It waits for a read from the blob that is under way.
func (d *decoder) close() error {
	err := d.Close()
	d.release()
	return err
}

// decompress returns the content of blob, whose compression it recognises by
// the first bytes, because media types are often wrong. The content reaches
// io.EOF only where the blob does.
func decompress(blob *blobReader) (*decoder, error) {
	head := make([]byte, len(zstdMagic))
	n, _ := io.ReadFull(blob, head) // its error may stand for the end of a short blob
	if err := blob.ended(); err != nil && !isEnd(err) {
		return nil, err
	}
	head = head[:n]
	whole := io.MultiReader(bytes.NewReader(head), blob)
	switch {
	case bytes.HasPrefix(head, []byte(gzipMagic)):
		return inflateAhead(whole), nil
	case isZstd(head):
		return zstdAhead(whole)
	}
	return &decoder{ahead.NewReader(aheadBlocks, ahead.Copy(whole, plainBuffer)), func() {}}, nil
}

// inflateAhead decompresses gzip into blocks that are handed on without a copy.
func inflateAhead(blob io.Reader) *decoder {
	z := inflate.NewReader(blob)
	return &decoder{ahead.NewReader(aheadBlocks, func(b *inflate.Block) ([]byte, error) {
		err := z.Fill(b)
		return b.Bytes(), err
	}), func() {}}
}

func isZstd(head []byte) bool {
	return string(head) == zstdMagic ||
		len(head) == len(zstdMagic) && head[0]&0xf0 == 0x50 && string(head[1:]) == skippableTail
}

// zstdAhead decompresses Zstandard frames up to the end of the blob.
func zstdAhead(blob io.Reader) (*decoder, error) {
	z, err := zstd.NewReader(blob,
		zstd.WithDecoderConcurrency(1),
		zstd.WithDecoderMaxWindow(maxZstdWindow),
		zstd.WithDecoderMaxMemory(maxZstdWindow))
	if err != nil {
		return nil, err
	}
	return &decoder{ahead.NewReader(aheadBlocks, func(b *[zstdBuffer]byte) ([]byte, error) {
		n, err := z.Read(b[:])
		if errors.Is(err, zstd.ErrWindowSizeExceeded) || errors.Is(err, zstd.ErrDecoderSizeExceeded) {
			err = fmt.Errorf("zstd: a frame needs more than %d bytes of memory: %w", maxZstdWindow, err)
		}
		return b[:n], err
	}), z.Close}, nil
}
