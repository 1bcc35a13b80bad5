package layer

import (
	"fmt"
	"path"
	"strings"
)

// The names that the image specification reserves (layer.md, "Whiteouts").
// Names below aufsPrefix other than the opaque marker are metadata of the AUFS
// storage driver, which old versions of Docker wrote into layers.
const (
	whiteoutPrefix = ".wh."
	aufsPrefix     = ".wh..wh."
	opaqueMarker   = ".wh..wh..opq"
)

// isAUFSMetadata reports whether name, or a directory above it, is metadata of
// AUFS, such as .wh..wh.plnk.
func isAUFSMetadata(name string) bool {
	if !strings.Contains(name, aufsPrefix) {
		return false
	}
	for component := range strings.SplitSeq(name, "/") {
		if strings.HasPrefix(component, aufsPrefix) && component != opaqueMarker {
			return true
		}
	}
	return false
}

// parseWhiteout returns the entry that a whiteout stands for, and false if the
// clean path name is none. A marker has a name only: its type, body and
// attributes say nothing.
//
// A marker as a directory on the way to another entry is an error: the
// specification says that a file system with such a name cannot exist, some
// engines would create it and others delete the directory that it is named
// after.
func parseWhiteout(name string) (Entry, bool, error) {
	if !strings.Contains(name, whiteoutPrefix) {
		return Entry{}, false, nil
	}
	dir, base := path.Split(name)
	dir = strings.TrimSuffix(dir, "/")
	for component := range strings.SplitSeq(dir, "/") {
		if strings.HasPrefix(component, whiteoutPrefix) {
			return Entry{}, false, fmt.Errorf("it lies below the whiteout %s", quote(component))
		}
	}
	if base == opaqueMarker {
		return Entry{Path: dir, Kind: OpaqueWhiteout}, true, nil
	}
	removed, ok := strings.CutPrefix(base, whiteoutPrefix)
	if !ok {
		return Entry{}, false, nil
	}
	if removed == "" || removed == "." || removed == ".." {
		return Entry{}, false, fmt.Errorf("the whiteout names %q, which is no file", removed)
	}
	return Entry{Path: path.Join(dir, removed), Kind: Whiteout}, true, nil
}
