package layer

import (
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
)

// The limits of Linux (limits.h), without the NUL that PATH_MAX counts.
const (
	maxPath      = 4095
	maxComponent = 255
)

// maxQuoted is how much of a name an error shows: a name may be a megabyte.
const maxQuoted = 256

// cleanPath returns name as a path below the root: relative, with single
// slashes, without "." and ".." elements; empty for the root itself. An
// absolute name is taken as relative to the root, as tar(1) does.
func cleanPath(name string) (string, error) {
	switch {
	case name == "":
		return "", errors.New("the name is empty")
	case strings.IndexByte(name, 0) >= 0:
		return "", errors.New("the name holds a NUL byte")
	}
	// Most names are clean but for what tar(1) puts around them.
	clean := strings.TrimSuffix(strings.TrimPrefix(name, "./"), "/")
	depth, tidy := 0, true
	for rest, more := clean, clean != ""; more; {
		var component string
		component, rest, more = strings.Cut(rest, "/")
		switch {
		case component == "" || component == ".":
			tidy = false
		case component == "..":
			tidy = false
			depth--
		case len(component) > maxComponent:
			return "", fmt.Errorf("file name too long: an element has more than %d bytes", maxComponent)
		default:
			depth++
		}
		if depth < 0 {
			return "", errors.New("the name leaves the root")
		}
	}
	if !tidy {
		clean = path.Clean("/" + clean)[1:]
	}
	if len(clean) > maxPath {
		return "", fmt.Errorf("file name too long: it has more than %d bytes", maxPath)
	}
	return clean, nil
}

// linkname returns the target of a link as Entry.Linkname promises it.
func linkname(kind Kind, target string) (string, error) {
	switch kind {
	case Symlink:
		return target, checkSymlink(target)
	case HardLink:
		clean, err := cleanPath(target)
		if err == nil && clean == "" {
			err = errors.New("it is the root")
		}
		if err != nil {
			return "", fmt.Errorf("hard link target %s: %w", quote(target), err)
		}
		return clean, nil
	case Dir, File, Whiteout, OpaqueWhiteout, Fifo, Device, Unknown:
	}
	return "", nil
}

// checkSymlink refuses what symlink(2) would. Where the target leads is judged
// by whoever follows it.
func checkSymlink(target string) error {
	switch {
	case target == "":
		return errors.New("the symbolic link has no target")
	case len(target) > maxPath:
		return fmt.Errorf("file name too long: the link's target has more than %d bytes", maxPath)
	}
	return nil
}

// quote returns a name fit for an error message.
func quote(name string) string {
	if len(name) <= maxQuoted {
		return strconv.Quote(name)
	}
	return fmt.Sprintf("%q... (%d bytes)", name[:maxQuoted], len(name))
}
