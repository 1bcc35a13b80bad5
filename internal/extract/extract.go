// Package extract writes the wanted entries of an image's layers below a root:
// in order, streamed, confined, within limits. What the image asks for is
// decided on a tree of the image's own paths; what is done about it goes
// through descriptors of the root. It knows neither the registry that the
// layers come from nor the process that will run on them.
package extract

import (
	"context"
	"fmt"
	"io"

	"github.com/drengskapur/fastmcp-runner/internal/layer"
	"github.com/drengskapur/fastmcp-runner/internal/rootfs"
)

// Layer is one layer of an image.
type Layer struct {
	// Digest names the layer in errors.
	Digest string
	// Open starts the stream of the compressed blob. Its Read must fail,
	// instead of io.EOF, when the content is not what the digest says. Open
	// may be called again when a hard link needs content that was excluded.
	Open func(ctx context.Context) (io.ReadCloser, error)
}

// Owner is a numeric user and group.
type Owner struct{ UID, GID uint32 }

// Options say what is taken and whose it becomes. Paths that are asked about
// are clean, relative to the root and free of symbolic links.
type Options struct {
	// Wanted reports whether a path is taken from the image.
	Wanted func(path string) bool
	// Keep reports whether what exists at a path before the extraction is the
	// user's data, which an image never overwrites, changes or deletes.
	// Nil: nothing is.
	Keep func(path string) bool
	// Links are symbolic links that the host made for the image to be laid
	// over, such as bin -> usr/bin. A directory of the image in such a place
	// keeps the link, and what lies below it goes where the link leads.
	Links []string
	// Mounted are the paths at which the host mounted something. The
	// directories that lead there stay directories: what an image has in such
	// a place and is none is left out.
	Mounted []string
	// Owned are the directories that belong to Owner afterwards, with all that
	// lies in them.
	Owned []string
	Owner Owner
	// MayChown says that the process may give files away: it is root, or has
	// CAP_CHOWN.
	MayChown bool
	// Laid is told every path that is laid, before its metadata is final, and
	// directories before what is in them; nil tells nobody. A path may be
	// told twice, or be removed again by a higher layer.
	Laid func(path string)
	// MaxBytes is how many bytes all layers together may unpack to, the
	// excluded ones among them; MaxEntries, how many entries they may hold.
	MaxBytes, MaxEntries int64
}

// Report says what an extraction did.
type Report struct {
	Entries  int64 // entries of all layers, the excluded ones among them
	Files    int64 // regular files written
	Bytes    int64 // bytes written to them
	Unpacked int64 // bytes that the layers unpacked to
	Excluded int64 // entries outside of what is wanted
	Devices  int64 // device nodes that were skipped
	Unknown  int64 // entries of a type that nobody defined, skipped
	Kept     int64 // entries that gave way to the user's data
	Owners   int64 // entries whose owner could not be set
	Xattrs   int64 // extended attributes that could not be set
}

// Extract writes layers, the lowest first, below root. An error means that the
// root holds part of an image, which must not be run: it names the layer and
// the entry. Errors that an operator can do something about have a method
// Hint() string.
func Extract(ctx context.Context, root *rootfs.Root, layers []Layer, opts Options) (Report, error) {
	x := newExtraction(root, layers, opts)
	defer x.dirs.close()
	x.fill = newFiller(x.opts)
	defer x.fill.close()
	if err := x.keepLinks(); err != nil {
		return x.report, fmt.Errorf("cannot look at the links of the root: %w", err)
	}
	blobs := openBlobs(ctx, layers)
	defer blobs.stop()
	for i := range layers {
		if err := x.apply(ctx, i, blobs.take()); err != nil {
			return x.report, fmt.Errorf("cannot extract layer %d of %d (%s): %w", i+1, len(layers), layers[i].Digest, err)
		}
	}
	x.collect()
	if err := x.finish(); err != nil {
		return x.report, fmt.Errorf("cannot finish the extraction: %w", err)
	}
	return x.report, nil
}

// extraction is one call of Extract under way.
type extraction struct {
	layers []Layer
	opts   Options
	tree   *tree // what the image says
	dirs   *dirs // where it is written
	fill   *filler
	own    ownership
	report Report

	used    layer.Usage // what counts against the limits
	layer   int         // the index of the layer that is applied
	pending []hardLink  // hard links of this layer whose target was not there yet
	refused refusals    // what could not be written
}

func newExtraction(root *rootfs.Root, layers []Layer, opts Options) *extraction {
	if opts.Keep == nil {
		opts.Keep = func(string) bool { return false }
	}
	if opts.Laid == nil {
		opts.Laid = func(string) {}
	}
	return &extraction{
		layers: layers,
		opts:   opts,
		tree:   newTree(),
		dirs:   newDirs(root),
		own:    newOwnership(opts),
	}
}

// apply applies one layer, whose blob it closes, to what the layers below it
// left.
func (x *extraction) apply(ctx context.Context, i int, blob *blob) error {
	x.layer = i
	used, err := x.read(ctx, blob, x.used, x.place)
	x.used = used
	x.report.Entries, x.report.Unpacked = used.Entries, used.Bytes
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
	return x.refused.err(x.own.self)
}

// collect takes over what the filler, which has nothing left to do, found out.
func (x *extraction) collect() {
	filled := x.fill.report
	x.report.Files += filled.Files
	x.report.Bytes += filled.Bytes
	x.report.Owners += filled.Owners
	x.report.Xattrs += filled.Xattrs
	x.own.mayChown = x.own.mayChown && x.fill.own.mayChown
}

// read hands every entry of a blob to visit, and returns what then counts
// against the limits. The whole blob has been read, and so verified, when the
// error is nil. It is closed in any case.
func (x *extraction) read(ctx context.Context, blob *blob, used layer.Usage, visit func(layer.Entry, *layer.Reader) error) (layer.Usage, error) {
	r := layer.NewReader(blob, layer.Limits{Bytes: x.opts.MaxBytes, Entries: x.opts.MaxEntries, Used: used})
	defer r.Close()
	defer blob.stop() // before r is closed, which waits for a read under way
	for {
		if ctx.Err() != nil {
			return r.Used(), context.Cause(ctx)
		}
		ent, err := r.Next()
		if err == io.EOF { //nolint:errorlint // Next returns io.EOF itself; a wrapped one would be a truncated stream
			return r.Used(), nil
		}
		if err != nil {
			return r.Used(), err
		}
		if err := visit(ent, r); err != nil {
			return r.Used(), atEntry(ent.Path, err)
		}
	}
}
