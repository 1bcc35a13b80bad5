// Package layer reads a layer of an image as a sequence of entries:
// decompressed, with names made clean, whiteouts recognised, and what the
// image specification or common sense forbids refused. It does not know the
// disk: where an entry belongs, and what is there already, is the caller's
// business.
package layer

import (
	"errors"
	"fmt"
	"io"
)

// errClosed is what a Reader answers after Close.
var errClosed = errors.New("the layer's reader is closed")

// Reader reads the entries of one layer in the order of the stream.
type Reader struct {
	blob    *blobReader
	lim     Limits
	used    Usage
	decoder *decoder // nil before the first Next and after Close
	stream  stream   // what it puts out
	archive archive  // the members in stream
	last    string   // the name in the last header, for errors about the next
	current Entry
	err     error // sticky
}

// NewReader returns a Reader of the layer whose compressed form is blob. It
// reads nothing yet. A blob that is cut off or has the wrong digest must fail
// with an error other than io.EOF; Reader hands that error on as it is.
func NewReader(blob io.Reader, lim Limits) *Reader {
	lim = lim.withDefaults()
	r := &Reader{
		blob:   &blobReader{r: blob},
		lim:    lim,
		stream: stream{limit: lim.Bytes},
	}
	r.archive.stream = &r.stream
	return r
}

// Next skips what is left of the current entry and returns the next one. It
// returns io.EOF only after the whole blob was read to its own io.EOF, so that
// whoever verifies the blob's digest has seen every byte. Any error is final.
func (r *Reader) Next() (Entry, error) {
	if r.err != nil {
		return Entry{}, r.err
	}
	ent, err := r.next()
	if err != nil {
		return Entry{}, r.fail(err)
	}
	r.current = ent
	return ent, nil
}

// Close releases the decoder. It does not close the blob, but waits for a read
// from it that is under way: who stops early makes the blob end first.
func (r *Reader) Close() error {
	r.err = errClosed
	if r.decoder == nil {
		return nil
	}
	decoder := r.decoder
	r.decoder = nil
	return decoder.close()
}

// Used returns what counts against the limits so far, the whole of the current
// entry included.
func (r *Reader) Used() Usage {
	return Usage{
		Bytes:   max(r.used.Bytes, r.stream.used()),
		Entries: r.used.Entries,
	}
}

// fail makes err final. What went wrong with the blob comes before what
// anybody made of it: decoders reword the errors of their source, and an entry
// of a blob with the wrong digest says nothing.
func (r *Reader) fail(err error) error {
	if ended := r.blob.ended(); ended != nil && !isEnd(ended) {
		err = ended
	}
	r.err = err
	return err
}

func (r *Reader) next() (Entry, error) {
	if r.decoder == nil {
		if err := r.open(); err != nil {
			return Entry{}, err
		}
	}
	for {
		m, err := r.nextMember()
		if err != nil {
			return Entry{}, err
		}
		ent, ok, err := newEntry(m)
		if err == nil && ok {
			err = r.countContent(&ent)
		}
		if err != nil {
			return Entry{}, fmt.Errorf("entry %s: %w", quote(m.name), err)
		}
		if ok {
			return ent, nil
		}
	}
}

// open recognises the compression.
func (r *Reader) open() (err error) {
	if r.decoder, err = decompress(r.blob); err != nil {
		return fmt.Errorf("cannot decompress the layer: %w", err)
	}
	r.stream.source = r.decoder.Reader
	return nil
}

// nextMember returns the next member of the archive and counts it.
func (r *Reader) nextMember() (*member, error) {
	m, err := r.archive.next()
	if isEnd(err) {
		return nil, r.drain()
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the header %s: %w", r.position(), err)
	}
	if r.used.Entries >= r.lim.Entries {
		return nil, fmt.Errorf("%w: more than %d", ErrTooManyEntries, r.lim.Entries)
	}
	r.used.Entries++
	r.last = m.name
	return m, nil
}

// drain reads what follows the archive's end, such as the padding that GNU tar
// writes, and returns io.EOF when the blob itself has ended.
func (r *Reader) drain() error {
	if err := r.stream.drain(); err != nil {
		return fmt.Errorf("cannot read to the layer's end: %w", err)
	}
	// Every decoder should be at the blob's end now. Whether the digest was
	// verified depends on it, so this does not trust them.
	if _, err := io.Copy(io.Discard, r.blob); err != nil {
		return err
	}
	return io.EOF
}

// countContent counts a File's content, holes included, before any of it is
// read: a sparse file can claim far more than the stream holds.
func (r *Reader) countContent(ent *Entry) error {
	if ent.Size > r.lim.Bytes-r.used.Bytes {
		return fmt.Errorf("it has %d bytes: %w", ent.Size, tooManyBytes(r.lim.Bytes))
	}
	r.used.Bytes += ent.Size
	return nil
}

// position says where in the layer the reader stands, for errors about a
// header that has no readable name.
func (r *Reader) position() string {
	if r.last == "" {
		return "of the first entry"
	}
	return "after entry " + quote(r.last)
}
