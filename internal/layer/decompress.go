package layer

import (
	"bufio"
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
// with --long and reads without further options.
const maxZstdWindow = 128 << 20

const blobBuffer = 64 << 10

// How far the decoder is ahead of who reads the entries: enough to hide that
// files take unequal time to write.
const (
	aheadBlocks  = 4
	aheadBuffer  = 512 << 10
	aheadBuffers = 4
)

// decompress returns the content of blob, whose compression it recognises by
// the first bytes, because media types are often wrong. The content reaches
// io.EOF only where the blob does. Decompression goes on in a goroutine of its
// own while the content is read, since it costs as much as writing the files.
func decompress(blob io.Reader) (io.ReadCloser, error) {
	buffered := bufio.NewReaderSize(blob, blobBuffer)
	head, err := buffered.Peek(len(zstdMagic))
	switch {
	case err != nil && !isEnd(err):
		return nil, err
	case bytes.HasPrefix(head, []byte(gzipMagic)):
		return inflateAhead(buffered), nil
	case isZstd(head):
		return newZstdReader(buffered)
	}
	return io.NopCloser(buffered), nil
}

// inflateAhead decompresses gzip into blocks that are handed on without a copy.
func inflateAhead(blob io.Reader) io.ReadCloser {
	z := inflate.NewReader(blob)
	blocks := make([]*inflate.Block, aheadBlocks)
	for i := range blocks {
		blocks[i] = new(inflate.Block)
	}
	return ahead.NewReader(blocks, func(b *inflate.Block) ([]byte, error) {
		err := z.Fill(b)
		return b.Bytes(), err
	})
}

func isZstd(head []byte) bool {
	return string(head) == zstdMagic ||
		len(head) == len(zstdMagic) && head[0]&0xf0 == 0x50 && string(head[1:]) == skippableTail
}

// zstdReader reads frames up to the end of the blob.
type zstdReader struct {
	*ahead.Reader

	decoder *zstd.Decoder
}

func newZstdReader(blob io.Reader) (io.ReadCloser, error) {
	decoder, err := zstd.NewReader(blob,
		zstd.WithDecoderConcurrency(1),
		zstd.WithDecoderMaxWindow(maxZstdWindow),
		zstd.WithDecoderMaxMemory(maxZstdWindow))
	if err != nil {
		return nil, err
	}
	return zstdReader{ahead.NewReader(ahead.Buffers(aheadBuffers, aheadBuffer), ahead.Copy(decoder)), decoder}, nil
}

// Read reads the content of all frames.
func (z zstdReader) Read(p []byte) (int, error) {
	n, err := z.Reader.Read(p)
	if errors.Is(err, zstd.ErrWindowSizeExceeded) || errors.Is(err, zstd.ErrDecoderSizeExceeded) {
		err = fmt.Errorf("zstd: a frame needs more than %d bytes of memory: %w", maxZstdWindow, err)
	}
	return n, err
}

// Close releases the decoder, once nothing reads from it.
func (z zstdReader) Close() error {
	err := z.Reader.Close()
	z.decoder.Close()
	return err
}
