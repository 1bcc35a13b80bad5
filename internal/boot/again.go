package boot

import (
	"fmt"

	"github.com/drengskapur/fastmcp-runner/internal/receipt"
	"github.com/drengskapur/fastmcp-runner/internal/registry"
)

// receiptKey says what an extraction of img makes, by digest and rules.
func (s *start) receiptKey(img *registry.Image) receipt.Key {
	return receipt.Key{
		Digest:   img.Digest.String(),
		Platform: img.Platform.String(),
		Rules:    fmt.Sprintf("%s user=%s paths=%s", s.cfg.Mode, s.user(), s.cfg.Allow),
	}
}

// makeRoom reports whether an earlier start laid exactly this in the root, and
// otherwise removes what it left there. The user's data is nobody's leftover.
func (s *start) makeRoom(key receipt.Key) (found bool, err error) {
	old, err := receipt.Read(s.root)
	if err != nil {
		return false, fmt.Errorf("cannot read what an earlier start left: %w", err)
	}
	if old.Complete && old.Key == key {
		s.opts.Log.Info("Found the image laid by an earlier start: nothing to pull")
		return true, nil
	}
	removed, err := receipt.Remove(s.root, old.Paths, func(p string) bool {
		return s.cfg.Allow.Allows(p) && !isUserData(p)
	})
	if removed > 0 {
		s.opts.Log.Info("Removed what an earlier start left", "digest", old.Key.Digest, "files", removed)
	}
	return false, err
}

// beginReceipt begins the receipt of this extraction. Where it cannot be
// written, each start pulls anew.
func (s *start) beginReceipt(key receipt.Key) *receipt.Writer {
	w, err := receipt.Begin(s.root, key)
	if err != nil {
		s.opts.Log.Debug("A restart will pull the image again", "reason", err)
		return nil
	}
	return w
}
