package host

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
)

// Mount is one line of /proc/self/mountinfo.
type Mount struct {
	// Point is where it is mounted, free of links: a directory, or a file for
	// the bind mount of a file.
	Point string `json:"point"`
	// Root is the path in its file system that shows at Point.
	Root string `json:"root"`
	// Type is the type of the file system, such as "overlay".
	Type string `json:"type"`
	// Source is the device file, or whatever the file system says instead.
	Source string `json:"source"`
	// Device is the number of the device, as "major:minor".
	Device string `json:"device"`
	// Options are those of this mount, SuperOptions those of the whole file
	// system.
	Options      []string `json:"options"`
	SuperOptions []string `json:"super_options"`
}

// ReadOnly reports whether nothing can be written there: either the mount or
// its file system is read-only.
func (m Mount) ReadOnly() bool {
	return slices.Contains(m.Options, "ro") || slices.Contains(m.SuperOptions, "ro")
}

// ParseMountinfo reads the text of /proc/self/mountinfo, as
// proc_pid_mountinfo(5) describes it. A line that it cannot read is an error,
// because a mount that goes unnoticed may lose a user's data.
func ParseMountinfo(text string) ([]Mount, error) {
	mounts := []Mount{}
	number := 0
	for line := range strings.Lines(text) {
		number++
		m, err := parseMount(strings.TrimSuffix(line, "\n"))
		if err != nil {
			return nil, fmt.Errorf("cannot parse line %d of mountinfo: %w", number, err)
		}
		mounts = append(mounts, m)
	}
	return mounts, nil
}

// parseMount reads a line such as
//
//	36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
//
// Single spaces separate the fields, and a field may be empty: some mounts
// have no source.
func parseMount(line string) (Mount, error) {
	fields := strings.Split(line, " ")
	separator := slices.Index(fields, "-") // ends the optional fields, of which there may be none
	if separator < 6 {
		return Mount{}, errors.New("there are not six fields before the separator")
	}
	fileSystem := fields[separator+1:]
	if len(fileSystem) < 3 {
		return Mount{}, errors.New("there are not three fields after the separator")
	}
	m := Mount{
		Point:        unescape(fields[4]),
		Root:         unescape(fields[3]),
		Type:         unescape(fileSystem[0]),
		Source:       unescape(fileSystem[1]),
		Device:       fields[2],
		Options:      splitOptions(fields[5]),
		SuperOptions: splitOptions(strings.Join(fileSystem[2:], " ")), // WSL 2 has spaces in them
	}
	if !path.IsAbs(m.Point) {
		return Mount{}, fmt.Errorf("the mount point %q is not absolute", m.Point)
	}
	return m, nil
}

func splitOptions(text string) []string {
	options := strings.Split(text, ",")
	for i, option := range options {
		options[i] = unescape(option)
	}
	return options
}

// unescape undoes the kernel's mangle(): a backslash and three octal digits
// stand for a byte that would break the line, such as \040 for a space.
func unescape(text string) string {
	var out strings.Builder
	for {
		before, after, found := strings.Cut(text, `\`)
		out.WriteString(before)
		if !found {
			return out.String()
		}
		if b, ok := octal(after); ok {
			out.WriteByte(b)
			text = after[3:]
			continue
		}
		out.WriteByte('\\')
		text = after
	}
}

// octal reads the three octal digits at the beginning of a text.
func octal(text string) (byte, bool) {
	if len(text) < 3 || text[0] > '3' {
		return 0, false
	}
	value := 0
	for _, digit := range []byte(text[:3]) {
		if digit < '0' || digit > '7' {
			return 0, false
		}
		value = value<<3 | int(digit-'0')
	}
	return byte(value), true
}

// MountPoints returns the mount points below the directory root, as paths
// within it that begin with a slash, sorted, each once. The root itself is none
// of them. Mounts of single files and mounts within mounts count like any
// other. Neither root nor the paths hold symbolic links: resolve a path before
// looking for it here.
func MountPoints(mounts []Mount, root string) []string {
	var points []string
	for _, m := range mounts {
		if p, ok := strings.CutPrefix(m.Point, strings.TrimSuffix(path.Clean(root), "/")+"/"); ok && p != "" {
			points = append(points, "/"+p)
		}
	}
	slices.Sort(points)
	return slices.Compact(points)
}
