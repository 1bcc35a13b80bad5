package layer

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"

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

// decompress returns the content of blob, whose compression it recognises by
// the first bytes, because media types are often wrong. The content reaches
// io.EOF only where the blob does.
func decompress(blob io.Reader) (io.ReadCloser, error) {
	buffered := bufio.NewReaderSize(blob, blobBuffer)
	head, err := buffered.Peek(len(zstdMagic))
	switch {
	case err != nil && !isEnd(err):
		return nil, err
	case bytes.HasPrefix(head, []byte(gzipMagic)):
		return io.NopCloser(inflate.NewReader(buffered)), nil
	case isZstd(head):
		return newZstdReader(buffered)
	}
	return io.NopCloser(buffered), nil
}

func isZstd(head []byte) bool {
	return string(head) == zstdMagic ||
		len(head) == len(zstdMagic) && head[0]&0xf0 == 0x50 && string(head[1:]) == skippableTail
}

// zstdReader reads frames up to the end of the blob.
type zstdReader struct {
	*zstd.Decoder
}

func newZstdReader(blob io.Reader) (zstdReader, error) {
	decoder, err := zstd.NewReader(blob,
		zstd.WithDecoderConcurrency(1),
		zstd.WithDecoderMaxWindow(maxZstdWindow),
		zstd.WithDecoderMaxMemory(maxZstdWindow))
	return zstdReader{decoder}, err
}

// Read reads the content of all frames.
func (z zstdReader) Read(p []byte) (int, error) {
	n, err := z.Decoder.Read(p)
	if errors.Is(err, zstd.ErrWindowSizeExceeded) || errors.Is(err, zstd.ErrDecoderSizeExceeded) {
		err = fmt.Errorf("zstd: a frame needs more than %d bytes of memory: %w", maxZstdWindow, err)
	}
	return n, err
}

// Close releases the decoder.
func (z zstdReader) Close() error {
	z.Decoder.Close()
	return nil
}
