package boot

import (
	"fmt"
	"strings"

	"github.com/drengskapur/fastmcp-runner/internal/host"
	"github.com/drengskapur/fastmcp-runner/internal/ids"
	"github.com/drengskapur/fastmcp-runner/internal/receipt"
	"github.com/drengskapur/fastmcp-runner/internal/rootfs"
)

// layout is what the modes differ in: where an image goes, and what of it is
// taken. Paths that it is asked about are clean and relative to the root.
type layout struct {
	root   *rootfs.Root
	wanted func(p string) bool
	// all says that the whole image is taken, so that nothing that is missing
	// may be blamed on the selection.
	all bool
	// links are the root's own links, over which the image is laid.
	links []string
	// mounted are the root's mount points, which the image is laid around.
	mounted []string
	// owned become the server's user's.
	owned []string
	owner ids.User
	// rules name the selection in the receipt.
	rules string
	// way is how a whole image will run, and gvisor says on whose kernel.
	way    host.Way
	gvisor bool
}

// allows is the selection as package program asks for it: of absolute paths,
// and nil for everything.
func (l layout) allows() func(p string) bool {
	if l.all {
		return nil
	}
	return func(p string) bool { return l.wanted(strings.TrimPrefix(p, "/")) }
}

// removable reports whether a path of the last image may be removed for the
// next one. The user's data is nobody's leftover.
func (l layout) removable(p string) bool { return l.wanted(p) && !isUserData(p) }

// isUserData reports whether p lies where files outlive the image.
func isUserData(p string) bool { return within(p, "data") }

// within reports whether p is dir or lies below it.
func within(p, dir string) bool { return p == dir || strings.HasPrefix(p, dir+"/") }

// allowlistLayout takes the allowed paths into the runner's own root. The
// directories of application and data become the server's.
func (s *start) allowlistLayout() layout {
	user := serverUser(s.cfg, s.opts)
	return layout{
		root:   s.root,
		wanted: s.cfg.Allow.Allows,
		owned:  []string{"app", "data"},
		owner:  user,
		rules:  fmt.Sprintf("%s user=%s paths=%s", s.cfg.Mode, user, s.cfg.Allow),
	}
}

// key is what the receipt of an image in this layout says.
func (l layout) key(digest, platform string) receipt.Key {
	return receipt.Key{Digest: digest, Platform: platform, Rules: l.rules}
}
