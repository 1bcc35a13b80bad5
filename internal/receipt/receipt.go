// Package receipt records what was laid below a root: of which image, by which
// rules, and whether all of it. It lets a container that is started again skip
// the pull, and lets a start on another image remove what the last one left. It
// knows nothing of images beyond the names that it is given.
package receipt

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/drengskapur/fastmcp-runner/internal/rootfs"
)

// Dir is the directory below the root that the runner keeps for itself. No file
// of an image may be laid in it.
const Dir = ".fastmcp-runner"

// A receipt that is being written has another name: if it is found at a start,
// the extraction that wrote it was cut off.
const (
	doneName    = "receipt"
	partialName = "receipt.partial"
)

// maxSize bounds a receipt in bytes: two million entries of 128 bytes.
const maxSize = 256 << 20

// Key says what was laid and how. Two extractions with the same key make the
// same tree.
type Key struct {
	Digest   string `json:"digest"`   // of the image's manifest
	Platform string `json:"platform"` // as the image names it
	Rules    string `json:"rules"`    // what was taken, and whose it became
}

// Receipt is what a root says of itself.
type Receipt struct {
	// Key is that of the last extraction that was finished, or of the one
	// that was cut off.
	Key Key
	// Complete reports whether it was finished and nothing was begun since. A
	// receipt that somebody else than root or we ourselves can have written
	// vouches for nothing, and is never complete.
	Complete bool
	// Paths are what was laid, also by an extraction that was cut off: clean
	// paths relative to the root, directories before what is in them.
	Paths []string
	// Author is the uid that can have written it.
	Author uint32
}

// Trusted reports whether nobody but root or we ourselves can have written it.
func (r Receipt) Trusted() bool { return trusted(r.Author) }

// trusted reports whether an author is root or we ourselves.
func trusted(author uint32) bool { return author == 0 || int(author) == os.Geteuid() }

// Read returns the receipt of a root, the zero Receipt if it has none.
func Read(root *rootfs.Root) (Receipt, error) {
	done, err := readFile(root, doneName)
	if err != nil {
		return Receipt{}, err
	}
	partial, err := readFile(root, partialName)
	if err != nil {
		return Receipt{}, err
	}
	switch {
	case done == nil && partial == nil:
		return Receipt{}, nil
	case partial == nil:
		done.Complete = done.Trusted()
		return *done, nil
	case done == nil:
		return *partial, nil
	}
	partial.Paths = append(done.Paths, partial.Paths...)
	if partial.Trusted() {
		partial.Author = done.Author
	}
	return *partial, nil
}

// findAuthor returns the owner of a receipt, or that of its directory if the
// latter is no more to be trusted: who owns the directory can put any file in
// the receipt's place.
func findAuthor(root *rootfs.Root, name string) (author uint32, err error) {
	for _, p := range []string{"/" + Dir, "/" + Dir + "/" + name} {
		found, err := root.Resolve(p)
		if err != nil {
			return 0, err
		}
		if trusted(author) {
			author, _ = found.Info.Owner()
		}
	}
	return author, nil
}

// readFile reads one receipt, nil if there is none. A cut off last path is left
// out: it was not written whole.
func readFile(root *rootfs.Root, name string) (*Receipt, error) {
	content, err := root.ReadFile("/"+Dir+"/"+name, maxSize)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	header, list, ok := bytes.Cut(content, []byte("\n"))
	var r Receipt
	if r.Author, err = findAuthor(root, name); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(header, &r.Key); !ok || err != nil {
		r.Key = Key{} // begun, and not even the header was written whole
	}
	for end := bytes.IndexByte(list, 0); end >= 0; end = bytes.IndexByte(list, 0) {
		if p := string(list[:end]); fs.ValidPath(p) && p != "." {
			r.Paths = append(r.Paths, p)
		}
		list = list[end+1:]
	}
	return &r, nil
}

// Void makes what a root says of itself incomplete, before any of it is
// changed: a receipt that stayed would vouch for what is no longer there.
func Void(root *rootfs.Root) error {
	dir, err := root.Dir().Open(Dir)
	if err != nil {
		return fmt.Errorf("cannot void the receipt in %q: %w", root.Join(Dir), err)
	}
	err = dir.Rename(doneName, partialName)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil // it is incomplete already
	}
	if err = errors.Join(err, dir.Close()); err != nil {
		return fmt.Errorf("cannot void the receipt in %q: %w", root.Join(Dir), err)
	}
	return nil
}

// Writer writes the receipt of an extraction that is under way. Its methods do
// nothing after the first error, which Finish returns. A nil Writer is one that
// writes nowhere.
type Writer struct {
	dir *rootfs.Dir
	f   *rootfs.File
	buf *bufio.Writer
	n   int
	err error
}

// flushEvery is how many paths may be missing in the receipt of an extraction
// that was killed.
const flushEvery = 256

// Begin begins the receipt of an extraction. From now on the root counts as
// half laid, until Finish. The caller calls Close in any case. A receipt of a
// former extraction that was cut off is replaced: the caller has read it, and
// removed what it lists.
func Begin(root *rootfs.Root, key Key) (*Writer, error) {
	w, err := begin(root, key)
	if err != nil {
		return nil, fmt.Errorf("cannot begin a receipt in %q: %w", root.Join(Dir), err)
	}
	return w, nil
}

func begin(root *rootfs.Root, key Key) (_ *Writer, err error) {
	if err := root.Dir().Mkdir(Dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	dir, err := root.Dir().Open(Dir)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, dir.Close())
		}
	}()
	if err := own(dir); err != nil {
		return nil, err
	}
	if err := dir.RemoveAll(partialName); err != nil {
		return nil, err
	}
	f, err := dir.Create(partialName, 0o644)
	if err != nil {
		return nil, err
	}
	w := &Writer{dir: dir, f: f, buf: bufio.NewWriter(f)}
	header, err := json.Marshal(key)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	w.write(string(header) + "\n")
	w.flush()
	return w, nil
}

// own takes the directory for root, if we are root, so that the server, which
// will not be, can forge no receipt. It stays readable: an image that was laid
// by root while a container image was built is found by a start as somebody
// else.
func own(dir *rootfs.Dir) error {
	if os.Geteuid() != 0 {
		return nil
	}
	if err := dir.Lchown("", 0, 0); err != nil {
		return err
	}
	return dir.ChmodSelf(0o755)
}

// Laid notes that a path was laid.
func (w *Writer) Laid(p string) {
	if w == nil {
		return
	}
	w.write(p + "\x00")
	if w.n++; w.n%flushEvery == 0 {
		w.flush()
	}
}

// Finish says that everything is laid.
func (w *Writer) Finish() error {
	if w == nil {
		return nil
	}
	w.flush()
	if w.err == nil {
		w.err = w.dir.Rename(partialName, doneName)
	}
	if w.err != nil {
		return fmt.Errorf("cannot finish the receipt: %w", w.err)
	}
	return nil
}

// Close closes the receipt, finished or not.
func (w *Writer) Close() error {
	if w == nil {
		return nil
	}
	w.flush()
	return errors.Join(w.f.Close(), w.dir.Close())
}

func (w *Writer) write(s string) {
	if w.err == nil {
		_, w.err = io.WriteString(w.buf, s)
	}
}

func (w *Writer) flush() {
	if w.err == nil {
		w.err = w.buf.Flush()
	}
}

// Remove removes what the receipt lists, the deepest first, as far as may, a
// predicate on paths, permits. Directories that hold anything else stay, and so
// does what lies behind a symbolic link by now. It returns how many it removed.
//
// Of a receipt that is not to be trusted, it removes only what belongs to its
// author, who could have removed that as well: as root we would otherwise
// remove for others what they cannot.
func (r Receipt) Remove(root *rootfs.Root, may func(p string) bool) (removed int, err error) {
	sorted := slices.Clone(r.Paths)
	slices.SortFunc(sorted, func(a, b string) int { return strings.Compare(b, a) })
	for _, p := range slices.Compact(sorted) {
		if !may(p) {
			continue
		}
		ok, err := r.remove(root.Dir(), p)
		if err != nil {
			return removed, fmt.Errorf("cannot remove %q of the last image: %w", "/"+p, err)
		}
		if ok {
			removed++
		}
	}
	return removed, nil
}

// remove removes one path below dir without following a link on the way.
func (r Receipt) remove(dir *rootfs.Dir, p string) (removed bool, err error) {
	name, rest, deeper := strings.Cut(p, "/")
	if !deeper {
		return r.removeEntry(dir, name)
	}
	sub, err := dir.Open(name)
	if isGone(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer sub.Close()
	return r.remove(sub, rest)
}

func (r Receipt) removeEntry(dir *rootfs.Dir, name string) (removed bool, err error) {
	if !r.Trusted() {
		info, err := dir.Stat(name)
		if isGone(err) {
			return false, nil
		}
		if uid, _ := info.Owner(); err != nil || uid != r.Author {
			return false, err
		}
	}
	err = dir.Unlink(name)
	if errors.Is(err, unix.EISDIR) {
		err = dir.Rmdir(name)
	}
	if isGone(err) || errors.Is(err, unix.ENOTEMPTY) || errors.Is(err, unix.EBUSY) {
		return false, nil
	}
	return err == nil, err
}

// isGone reports whether an error says that a path is not there any more, or
// leads over a link or file now.
func isGone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP)
}
