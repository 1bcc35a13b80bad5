package extract

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/drengskapur/fastmcp-runner/internal/layer"
	"github.com/drengskapur/fastmcp-runner/internal/rootfs"
)

// How much the filler is given at once, so that it is woken once for many
// small files; and how many such batches there are, which bounds the files
// that are open.
const (
	batches     = 3
	batchPieces = 128
	batchBytes  = 128 << 10
)

// smallPiece is up to which length content is copied into the batch. A longer
// piece is handed over at once: no piece keeps one of the decoder's blocks
// while it waits for others, which may be far behind in the layer.
const smallPiece = 16 << 10

// filler gives files their content and metadata, in a goroutine of its own,
// while the next entries are decided on. Only what is behind a descriptor
// comes here: the file has its name already, and what is done to it through
// the descriptor is the same whatever happens to that name. So the entries
// take effect in order although half of the work is done later.
type filler struct {
	own     ownership
	report  Report        // owners and attributes that could not be set; valid after wait
	written *atomic.Int64 // bytes
	batch   *batch        // collects pieces
	full    chan *batch
	empty   chan *batch
	done    chan struct{} // closed when the goroutine has ended
}

// batch is what the filler gets at once. It comes back empty, with the error
// that happened up to it.
type batch struct {
	pieces []piece
	small  []byte // the content of small pieces
	err    error
}

func newBatch() *batch {
	return &batch{pieces: make([]piece, 0, batchPieces), small: make([]byte, 0, batchBytes)}
}

// filling is a file that is being filled.
type filling struct {
	file *rootfs.File
	path string
	ent  layer.Entry // what it becomes
}

// piece is the next part of a file: of its content, or its end.
type piece struct {
	of      *filling
	content layer.Chunk
	end     ending
}

// ending says what follows a piece.
type ending uint8

const (
	more   ending = iota // the next piece of the same file
	finish               // nothing: the file gets its metadata and is closed
	giveUp               // nothing: an error left it incomplete
)

// newFiller starts a filler, which adds the bytes that it writes to written.
func newFiller(opts Options, written *atomic.Int64) *filler {
	f := &filler{
		own:     newOwnership(opts),
		written: written,
		batch:   newBatch(),
		full:    make(chan *batch, batches),
		empty:   make(chan *batch, batches),
		done:    make(chan struct{}),
	}
	for range batches - 1 {
		f.empty <- newBatch()
	}
	go f.run()
	return f
}

// add hands over the next piece: its content and, after the last, the file.
// The error may be about one that was added before, which it names.
func (f *filler) add(p piece) error {
	b := f.batch
	small := len(p.content.Data) <= smallPiece
	if small {
		p.content = b.copyOf(p.content)
	}
	b.pieces = append(b.pieces, p)
	if small && len(b.pieces) < batchPieces && len(b.small)+smallPiece <= batchBytes {
		return nil
	}
	return f.flush()
}

// copyOf returns a chunk with the same content that holds no block.
func (b *batch) copyOf(c layer.Chunk) layer.Chunk {
	start := len(b.small)
	b.small = append(b.small, c.Data...)
	c.Release()
	return layer.Chunk{Data: b.small[start:], Hole: c.Hole}
}

// flush passes on what was collected.
func (f *filler) flush() error {
	f.full <- f.batch
	f.batch = <-f.empty
	return f.batch.err
}

// wait returns when everything that was added has been written.
func (f *filler) wait() error {
	err := f.flush()
	returned := make([]*batch, 0, batches)
	for len(returned) < batches-1 {
		b := <-f.empty
		returned = append(returned, b)
		if b.err != nil {
			err = b.err
		}
	}
	for _, b := range returned {
		f.empty <- b
	}
	return err
}

// close gives up what was added and not yet written, and ends the goroutine.
func (f *filler) close() {
	f.full <- f.batch
	close(f.full)
	<-f.done
}

func (f *filler) run() {
	defer close(f.done)
	var err error // the first; from then on files are only closed
	for b := range f.full {
		for _, p := range b.pieces {
			err = firstOf(err, f.fill(p, err == nil))
		}
		clear(b.pieces)
		*b = batch{pieces: b.pieces[:0], small: b.small[:0], err: err}
		f.empty <- b
	}
}

// fill does what a piece asks for; without going on it only cleans up.
func (f *filler) fill(p piece, goOn bool) (err error) {
	if goOn {
		err = f.write(p)
	}
	p.content.Release()
	if p.end != more {
		err = firstOf(err, p.of.file.Close())
	}
	if err == nil {
		return nil
	}
	return atEntry(p.of.path, explainSpace(err, f.written.Load()))
}

func (f *filler) write(p piece) error {
	n, err := p.of.file.Write(p.content.Data)
	f.written.Add(int64(n))
	if err == nil && p.content.Hole > 0 {
		err = p.of.file.Extend(p.content.Hole)
	}
	if err != nil || p.end != finish {
		return err
	}
	return f.own.setFile(p.of.file, p.of.path, p.of.ent, &f.report)
}

// entryError is an error about one entry of a layer.
type entryError struct {
	path string
	err  error
}

func (e *entryError) Error() string { return fmt.Sprintf("entry %q: %v", e.path, e.err) }
func (e *entryError) Unwrap() error { return e.err }

// atEntry names the entry that err is about, unless err names one itself: what
// is done later than in order may be about an earlier entry.
func atEntry(path string, err error) error {
	if _, named := errors.AsType[*entryError](err); named || err == nil {
		return err
	}
	return &entryError{path: path, err: err}
}

// firstOf returns the first error, nil if there is none.
func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
