package extract

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"sync"

	"github.com/drengskapur/fastmcp-runner/internal/layer"
)

// How many layers are worked on at once: enough to keep every processor busy
// although the layers whose turn has not come must wait now and then, and few
// enough for their buffers, some 4 MiB each.
const (
	minLanes = 2
	maxLanes = 4
)

// lane applies one layer. Its turn comes when all layers below are done; then
// it places its entries in the order of the stream, on what the layers below
// left. Until then it places ahead of its turn what comes to the same.
type lane struct {
	*extraction

	layer int32           // its number, from 1 on
	turn  <-chan struct{} // closed when the layers below are done
	early *early          // what was done ahead of the turn, nil from then on

	fill    *filler
	created *filling   // a file that waits for its content
	pending []hardLink // hard links whose target was not there yet
	refused refusals   // what could not be written
	report  Report     // of this layer
	counted layer.Usage
}

// lanesHere is how many layers are worked on at once here.
func lanesHere() int { return min(max(runtime.GOMAXPROCS(0)+1, minLanes), maxLanes) }

// applyLayers applies all layers, some side by side. The first error ends the
// work on all.
func (x *extraction) applyLayers(parent context.Context, sideBySide int) error {
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	lanes := make(chan struct{}, sideBySide)
	turn := make(chan struct{})
	close(turn) // the lowest layer has nobody to wait for
	var all sync.WaitGroup
	for i := range x.layers {
		lanes <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		l := &lane{extraction: x, layer: int32(i + 1), turn: turn, early: newEarly()}
		done := make(chan struct{})
		all.Go(func() {
			defer func() { <-lanes }()
			if err := l.apply(ctx); err != nil {
				cancel(fmt.Errorf("cannot extract layer %d of %d (%s): %w", i+1, len(x.layers), x.layers[i].Digest, err))
				return
			}
			close(done)
		})
		turn = done
	}
	all.Wait()
	return context.Cause(ctx)
}

// apply applies the layer.
func (x *lane) apply(ctx context.Context) error {
	x.fill = newFiller(x.opts, &x.written)
	defer x.fill.close()
	err := x.read(ctx, x.layer, x.count, func(ent layer.Entry) error { return x.take(ctx, ent) })
	if err == nil && x.early != nil {
		err = x.await(ctx)
	}
	if err != nil {
		return err
	}
	// Before the hard links: one whose target was refused would be blamed on
	// the image.
	if err := x.refused.err(x.own.self); err != nil {
		return err
	}
	if err := x.placePending(ctx); err != nil {
		return err
	}
	if err := x.fill.wait(); err != nil {
		return err
	}
	x.collect()
	return x.refused.err(x.own.self)
}

// take places the next entry: ahead of the layer's turn if that can be, or
// else when it has come.
func (x *lane) take(ctx context.Context, ent layer.Entry) error {
	if x.early != nil && !x.hasTurn() {
		placed, err := x.placeAhead(ent)
		if placed || err != nil {
			return err
		}
	}
	if x.early != nil {
		if err := x.await(ctx); err != nil {
			return err
		}
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.place(ent)
}

// hasTurn reports whether all layers below are done.
func (x *lane) hasTurn() bool {
	select {
	case <-x.turn:
		return true
	default:
		return false
	}
}

// await waits for the layer's turn, and brings to a close what was done ahead
// of it.
func (x *lane) await(ctx context.Context) error {
	select {
	case <-x.turn:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return x.beginTurn()
}

// collect adds what the lane did to the report of the extraction.
func (x *lane) collect() {
	x.mu.Lock()
	defer x.mu.Unlock()
	r, filled := &x.extraction.report, x.fill.report
	r.Files += x.report.Files
	r.Bytes += x.report.Bytes
	r.Excluded += x.report.Excluded
	r.Devices += x.report.Devices
	r.Unknown += x.report.Unknown
	r.Kept += x.report.Kept
	r.Owners += x.report.Owners + filled.Owners
	r.Xattrs += x.report.Xattrs + filled.Xattrs
	r.Entries = x.used.Entries
	x.own.mayChown = x.own.mayChown && x.fill.own.mayChown
}

// read hands every entry of layer i to visit, and fills the file that visit
// created for it; before that, count is told what of the layer counts against
// the limits by now. The whole blob has been read, and so verified, when the
// error is nil.
func (x *lane) read(ctx context.Context, i int32, count func(layer.Usage) error, visit func(layer.Entry) error) error {
	blob := openBlob(ctx, x.layers[i-1])
	r := layer.NewReader(blob, x.limits())
	defer func() {
		blob.cancel() // a read that waits for the network ends now,
		_ = r.Close() // which the decoder may be in; nothing was written to it
		blob.stop()
	}()
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		ent, err := r.Next()
		if err == io.EOF { //nolint:errorlint // Next returns io.EOF itself; a wrapped one would be a truncated stream
			return count(r.Used())
		}
		if err == nil {
			err = count(r.Used())
		}
		if err != nil {
			return err
		}
		err = visit(ent)
		if err == nil {
			err = x.fillCreated(r)
		}
		if err != nil {
			return atEntry(ent.Path, err)
		}
	}
}

// count adds what the layer takes by now to what all take of the limits.
func (x *lane) count(used layer.Usage) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.used.Bytes += used.Bytes - x.counted.Bytes
	x.used.Entries += used.Entries - x.counted.Entries
	x.counted = used
	return x.limits().Check(x.used)
}

// countNothing is for a layer that is read once more.
func countNothing(layer.Usage) error { return nil }

// fillCreated hands the content of the file that was created last over to be
// written.
func (x *lane) fillCreated(content *layer.Reader) error {
	file := x.created
	if file == nil {
		return nil
	}
	x.created = nil
	if err := x.feed(file, content); err != nil {
		return firstOf(err, x.fill.add(piece{of: file, end: giveUp}))
	}
	return x.fill.add(piece{of: file, end: finish})
}

// feed hands the content of a file over.
func (x *lane) feed(file *filling, content *layer.Reader) error {
	for left := file.ent.Size; left > 0; {
		chunk, err := content.Chunk()
		if err != nil {
			return err
		}
		left -= int64(len(chunk.Data)) + chunk.Hole
		if err := x.fill.add(piece{of: file, content: chunk}); err != nil {
			return err
		}
	}
	return nil
}
