package boot

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/drengskapur/fastmcp-runner/internal/hint"
	"github.com/drengskapur/fastmcp-runner/internal/receipt"
)

// makeRoom reports whether an earlier start laid exactly this in the root, and
// otherwise removes what it left there.
func (s *start) makeRoom(key receipt.Key) (found bool, err error) {
	old, err := receipt.Read(s.layout.root)
	unreadable := errors.Is(err, fs.ErrPermission)
	if err != nil && !unreadable {
		return false, fmt.Errorf("cannot read what an earlier start left: %w", err)
	}
	if old.Complete && old.Key == key {
		s.opts.Log.Info("Found the image laid by an earlier start: nothing to pull")
		return true, nil
	}
	if old.Complete || unreadable {
		// A later start would take what is laid now for the image that the
		// receipt is about.
		if err := receipt.Void(s.layout.root); err != nil {
			return false, hint.Add(err, leftoverHint)
		}
	}
	if !old.Trusted() {
		s.opts.Log.Warn("Do not believe what an earlier start as another user left", "uid", old.Author)
	}
	if unreadable {
		s.opts.Log.Warn("Cannot read what an earlier start left: files of it may remain", "reason", err)
	}
	removed, err := old.Remove(s.layout.root, s.layout.removable)
	if removed > 0 {
		s.opts.Log.Info("Removed what an earlier start left", "digest", old.Key.Digest, "files", removed)
	}
	if err != nil {
		return false, hint.Add(err, leftoverHint)
	}
	return false, nil
}

// leftoverHint is for another image that lies in the way and may not be removed.
const leftoverHint = "this root holds another image that was laid by another user: use a new container, or start as that user"

// beginReceipt begins the receipt of this extraction. Where it cannot be
// written, each start pulls anew.
func (s *start) beginReceipt(key receipt.Key) *receipt.Writer {
	w, err := receipt.Begin(s.layout.root, key)
	if err != nil {
		s.opts.Log.Debug("A restart will pull the image again", "reason", err)
		return nil
	}
	return w
}
