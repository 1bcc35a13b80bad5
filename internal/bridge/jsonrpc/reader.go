package jsonrpc

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
)

// MaxLine is the longest line that a Reader takes unless it is told otherwise.
const MaxLine = 64 << 20

// readBuffer is what is read at once. There are many Readers, which mostly
// wait.
const readBuffer = 16 << 10

// TooLongError says that a line is longer than the limit. It comes as soon as
// that is clear, and again each time that as much has followed, since the line
// may never end. Nothing of the line is read; the next one can be.
type TooLongError struct {
	// Limit is the longest line that is taken, in bytes.
	Limit int
	// Head is how the line began, at most 4 KiB; nil if it was told before.
	Head []byte
}

func (e *TooLongError) Error() string {
	return fmt.Sprintf("a line of more than %d bytes", e.Limit)
}

// Key is that of the id of the message on the line, as in Message.Key; empty
// if the part of the line that was kept does not show it.
func (e *TooLongError) Key() string {
	m := Message{Raw: e.Head}
	if len(e.Head) == 0 || e.Head[0] != '{' {
		return ""
	}
	id := m.Field(Span{0, len(e.Head)}, "id")
	if id.End == len(e.Head) {
		return "" // cut off
	}
	return m.Key(id)
}

// Reader reads lines.
type Reader struct {
	src *bufio.Reader
	max int
	// skipping says that the rest of a line that is too long comes next.
	skipping bool
}

// NewReader returns a Reader that takes lines of up to limit bytes.
func NewReader(src io.Reader, limit int) *Reader {
	return &Reader{src: bufio.NewReaderSize(src, min(readBuffer, limit)), max: limit}
}

// Line returns the next line without its end, in memory of its own. At the
// end of the stream a line that was begun is a line. The error is a
// *TooLongError, io.EOF, or what reading has led to.
func (r *Reader) Line() ([]byte, error) {
	if r.skipping {
		if err := r.skip(); err != nil {
			return nil, err
		}
	}
	var line []byte
	for {
		part, err := r.src.ReadSlice('\n')
		part = bytes.TrimSuffix(part, []byte("\n"))
		if len(line)+len(part) > r.max {
			r.skipping = errors.Is(err, bufio.ErrBufferFull)
			return nil, r.tooLong(append(line, part[:min(len(part), headBytes)]...))
		}
		if len(line) > 0 && cap(line)-len(line) < len(part) {
			// Twice as much, since append gives less to what is long.
			line = slices.Grow(line, max(len(part), min(len(line), r.max-len(line))))
		}
		line = append(line, part...)
		switch {
		case err == nil:
			return line, nil
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF) && len(line) > 0:
			return line, nil
		default:
			return nil, err
		}
	}
}

// headBytes is how much of a line that is too long is kept.
const headBytes = 4 << 10

// tooLong returns the error about a line that began so.
func (r *Reader) tooLong(line []byte) error {
	return &TooLongError{Limit: r.max, Head: bytes.Clone(line[:min(len(line), headBytes)])}
}

// skip reads to the end of a line, or as much of it as a line may have.
func (r *Reader) skip() error {
	for skipped := 0; ; {
		part, err := r.src.ReadSlice('\n')
		skipped += len(part)
		switch {
		case !errors.Is(err, bufio.ErrBufferFull):
			r.skipping = false
			return err
		case skipped > r.max:
			return &TooLongError{Limit: r.max}
		}
	}
}
