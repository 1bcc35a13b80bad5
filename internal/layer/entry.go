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
	Unknown                        // a tar type that nobody defined
)

// Entry is one member of a layer, with its name already made safe.
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
	// ModTime is the modification time, within what utimensat(2) takes.
	ModTime time.Time
	// Linkname is the target: of a Symlink byte for byte as stored, of a
	// HardLink cleaned as Path is.
	Linkname string
	// Xattrs are the extended attributes (SCHILY.xattr.* PAX records).
	Xattrs map[string]string
}
