package layer

import "time"

// Kind says what an Entry asks for.
type Kind uint8

// The kinds of entry that a layer can hold. Whiteout and OpaqueWhiteout are
// the markers of the image specification (layer.md, "Whiteouts"): they are
// recognised by their name, whatever type the tar header gives them.
const (
	Dir            Kind = iota + 1 // a directory
	File                           // a regular file; its content follows
	Symlink                        // a symbolic link to Linkname
	HardLink                       // another name for the entry at Linkname
	Whiteout                       // removes Path from the layers below
	OpaqueWhiteout                 // removes all children of Path from the layers below
	Fifo                           // a named pipe
	Device                         // a character or block device
	Unknown                        // a tar type that is none of these
)

// String returns the kind in words.
func (k Kind) String() string {
	switch k {
	case Dir:
		return "directory"
	case File:
		return "file"
	case Symlink:
		return "symbolic link"
	case HardLink:
		return "hard link"
	case Whiteout:
		return "whiteout"
	case OpaqueWhiteout:
		return "opaque whiteout"
	case Fifo:
		return "named pipe"
	case Device:
		return "device"
	case Unknown:
	}
	return "member of unknown type"
}

// Entry is one member of a layer, with its name already made safe. A Whiteout
// or OpaqueWhiteout has a Path and nothing else.
type Entry struct {
	// Path is the cleaned path below the root: relative, with single slashes,
	// without "." or ".." elements. It is empty for the root itself. For a
	// Whiteout it is the path that is removed, for an OpaqueWhiteout the
	// directory whose children are.
	Path string
	// Kind says what is asked for.
	Kind Kind
	// Mode holds the permission bits with setuid (0o4000), setgid (0o2000)
	// and sticky (0o1000), as in chmod(2).
	Mode uint32
	// UID and GID are the numeric owner.
	UID, GID int
	// Size is the length of a File's content in bytes, holes included.
	Size int64
	// ModTime is the modification time, clamped to the years 1678 to 2262, so
	// that its UnixNano is defined.
	ModTime time.Time
	// Linkname is the target: of a Symlink byte for byte as stored, of a
	// HardLink cleaned as Path is.
	Linkname string
	// Xattrs are the extended attributes (SCHILY.xattr.* PAX records), nil if
	// there are none.
	Xattrs map[string]string
}
