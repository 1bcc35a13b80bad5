// Package extract writes the wanted entries of an image's layers below a root:
// in order, streamed, confined, within limits. What the image asks for is
// decided on a tree of the image's own paths; what is done about it goes
// through descriptors of the root. It knows neither the registry that the
// layers come from nor the process that will run on them.
package extract

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/drengskapur/fastmcp-runner/internal/ids"
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
	Owner ids.User
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
	Files    int64 // regular files that are wanted, those that a higher layer replaces among them
	Bytes    int64 // bytes in them
	Excluded int64 // entries outside of what is wanted
	Devices  int64 // device nodes that were skipped
	Unknown  int64 // entries of a type that nobody defined, skipped
	Kept     int64 // entries that gave way to the user's data
	Owners   int64 // entries whose owner could not be set
	Xattrs   int64 // extended attributes that could not be set
}

// Extract writes layers, the lowest first, below root: several at once, with
// the outcome of one after the other. An error means that the root holds part
// of an image, which must not be run: it names the layer and the entry. Errors
// that an operator can do something about have a hint.
func Extract(ctx context.Context, root *rootfs.Root, layers []Layer, opts Options) (Report, error) {
	links, err := hostLinks(root, opts.Links)
	if err != nil {
		return Report{}, fmt.Errorf("cannot look at the links of the root: %w", err)
	}
	report, err := newExtraction(root, layers, opts, links).run(ctx, lanesHere())
	if errors.Is(err, errInOrder) {
		report, err = newExtraction(root, layers, opts, links).run(ctx, 1)
	}
	return report, err
}

// errInOrder says that layers cannot be applied side by side after all.
var errInOrder = errors.New("internal error: the layers have to be applied one after the other")

// extraction is one call of Extract under way.
type extraction struct {
	layers []Layer
	opts   Options

	// mu guards what follows: layers are read side by side, but what their
	// entries mean is decided on one entry at a time.
	mu     sync.Mutex
	tree   *tree // what the image says
	dirs   *dirs // where it is written
	own    ownership
	report Report
	used   layer.Usage // what counts against the limits

	written atomic.Int64 // bytes of files, for errors about a full disk
}

func newExtraction(root *rootfs.Root, layers []Layer, opts Options, links map[string]string) *extraction {
	if opts.Keep == nil {
		opts.Keep = func(string) bool { return false }
	}
	if opts.Laid == nil {
		opts.Laid = func(string) {}
	}
	x := &extraction{
		layers: layers,
		opts:   opts,
		tree:   newTree(),
		dirs:   newDirs(root),
		own:    newOwnership(opts),
	}
	x.tree.keep(links)
	return x
}

// run applies all layers, so many of them side by side. When it fails with
// errInOrder, nothing that it laid is left.
func (x *extraction) run(ctx context.Context, sideBySide int) (Report, error) {
	defer x.dirs.close()
	if err := x.applyLayers(ctx, sideBySide); err != nil {
		if errors.Is(err, errInOrder) {
			if left := (&lane{extraction: x}).forget("", x.tree.root); left != nil {
				err = fmt.Errorf("cannot take back what was laid: %w", left)
			}
		}
		return x.report, err
	}
	if err := x.finish(); err != nil {
		return x.report, fmt.Errorf("cannot finish the extraction: %w", err)
	}
	return x.report, nil
}

func (x *extraction) limits() layer.Limits {
	return layer.Limits{Bytes: x.opts.MaxBytes, Entries: x.opts.MaxEntries}
}
