package layer

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
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

var errGarbage = errors.New("gzip: bytes that are neither a member nor zero padding follow the last member")

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
		return newGzipReader(buffered)
	case isZstd(head):
		return newZstdReader(buffered)
	}
	return io.NopCloser(buffered), nil
}

func isZstd(head []byte) bool {
	return string(head) == zstdMagic ||
		len(head) == len(zstdMagic) && head[0]&0xf0 == 0x50 && string(head[1:]) == skippableTail
}

// gzipReader reads members up to the end of the blob. Zeros after the last one
// are padding, as gzip(1) has it; anything else there is an error.
type gzipReader struct {
	blob   *bufio.Reader
	member *gzip.Reader
}

func newGzipReader(blob *bufio.Reader) (*gzipReader, error) {
	member, err := gzip.NewReader(blob)
	if err != nil {
		return nil, err
	}
	member.Multistream(false)
	return &gzipReader{blob: blob, member: member}, nil
}

// Read reads the content of all members.
func (g *gzipReader) Read(p []byte) (int, error) {
	for {
		n, err := g.member.Read(p)
		if !isEnd(err) {
			return n, err
		}
		if n > 0 {
			return n, nil
		}
		if err := g.nextMember(); err != nil {
			return 0, err
		}
	}
}

// Close releases the decoder.
func (g *gzipReader) Close() error {
	return g.member.Close()
}

func (g *gzipReader) nextMember() error {
	head, err := g.blob.Peek(len(gzipMagic))
	switch {
	case len(head) == 0:
		return err
	case head[0] == 0:
		return g.skipPadding()
	case string(head) != gzipMagic:
		return errGarbage
	}
	err = g.member.Reset(g.blob)
	g.member.Multistream(false)
	return err
}

// skipPadding returns io.EOF if there are only zeros up to the blob's end.
func (g *gzipReader) skipPadding() error {
	for {
		b, err := g.blob.ReadByte()
		if err != nil {
			return err
		}
		if b != 0 {
			return errGarbage
		}
	}
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
