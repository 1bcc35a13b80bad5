package boot

import (
	"path"

	"github.com/drengskapur/fastmcp-runner/internal/host"
	"github.com/drengskapur/fastmcp-runner/internal/ids"
	"github.com/drengskapur/fastmcp-runner/internal/launch"
	"github.com/drengskapur/fastmcp-runner/internal/rootfs"
)

const (
	// rootHome is root's home in an image that has no /etc/passwd.
	rootHome = "/root"
	// spareHome is the home of a server that can have no other.
	spareHome = "/tmp/home"
	// noHome is for accounts that shall have none (Debian Policy, 9.2.3).
	noHome = "/nonexistent"
)

// homesOf returns where a whole image's server may be at home, the best first.
// Who stands in for the image's user is at home where that one is, as the image
// was made for it: own, the home of the server's own account, is the image's
// choice for somebody else. Root stands in for nobody.
func homesOf(user ids.User, own string, images launch.Account) []string {
	if user.UID == 0 {
		return []string{own, rootHome}
	}
	theirs := images.Home
	if theirs == "" && images.User.UID == 0 {
		theirs = rootHome
	}
	return []string{theirs, own, spareHome}
}

// settleHome makes the first of the homes that can be the server's own its own,
// and returns it; "" if there is none.
func (s *start) settleHome(homes []string, user, images ids.User) (string, error) {
	for _, home := range homes {
		if home == "" || home == noHome || !s.makeHome(home, user) {
			continue
		}
		if err := s.give(user, images, s.notSystems(home)); err != nil {
			return "", err
		}
		if s.mayLiveIn(home, user) {
			return home, nil
		}
	}
	s.opts.Log.Warn("The server has no home that it can write to", "user", user.String())
	return "", nil
}

// makeHome reports whether there is a directory to be at home in, and makes it
// if there is nothing. What this process may not make, it may not.
func (s *start) makeHome(home string, user ids.User) bool {
	found, err := s.layout.root.Resolve(home)
	if err != nil || found.Exists {
		return err == nil && found.Info.IsDir()
	}
	return s.makeDirs(found.Path, user) == nil
}

// mayLiveIn reports whether the user can write in a directory, and get there.
func (s *start) mayLiveIn(home string, user ids.User) bool {
	found, err := s.layout.root.Resolve(home)
	if err != nil || !found.Info.IsDir() || !allows(found.Info, user, 0o3) {
		return false
	}
	for dir := found.Path; dir != "/"; dir = path.Dir(dir) {
		above, err := s.layout.root.Resolve(path.Dir(dir))
		if err != nil || path.Dir(dir) != "/" && !allows(above.Info, user, 0o1) {
			return false
		}
	}
	system := host.AskFileSystem(s.layout.root.Join(found.Path))
	return system == nil || !system.ReadOnly
}

// allows reports whether all bits of the one class of inode(7) that the user
// belongs to are set.
func allows(info rootfs.Info, user ids.User, bits uint32) bool {
	uid, gid := info.Owner()
	switch {
	case user.UID == 0:
		return true
	case user.UID == uid:
		bits <<= 6
	case user.GID == gid:
		bits <<= 3
	}
	return info.Perm()&bits == bits
}
