package layer

import (
	"archive/tar"
	"bufio"
	"bytes"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

const (
	blockSize = 512
	// modeBits are the bits that chmod(2) takes.
	modeBits = 0o7777
	// maxID is the largest owner: chown(2) takes 2^32-1 for "leave as it is",
	// which would leave a file to whoever unpacks it.
	maxID = math.MaxUint32 - 1
	// maxSeconds bounds modification times on both sides of 1970, so that
	// time.Time.UnixNano can tell them: to the years 1678 and 2262.
	maxSeconds = math.MaxInt64 / int64(time.Second)
	// xattrPrefix begins the PAX records of extended attributes (star(1)).
	xattrPrefix = "SCHILY.xattr."
	// maxShown is how much of unknown content an error shows.
	maxShown = 16
)

// checkTar makes sure that a tar archive begins here, or that there is nothing
// at all: an empty layer.
func checkTar(stream *bufio.Reader) error {
	block, err := stream.Peek(blockSize)
	if err != nil && !isEnd(err) {
		return fmt.Errorf("cannot read the layer's beginning: %w", err)
	}
	if len(block) == 0 || isTarBlock(block) {
		return nil
	}
	return fmt.Errorf("it is not a tar archive, plain or compressed with gzip or zstd: its content begins with %q",
		block[:min(len(block), maxShown)])
}

// isTarBlock reports whether block is a header with the right checksum, which
// all tar formats have, or the zeros that end an archive.
func isTarBlock(block []byte) bool {
	if len(block) < blockSize {
		return false
	}
	if len(bytes.Trim(block, "\x00")) == 0 {
		return true
	}
	const start, end = 148, 156 // the checksum's own field counts as spaces
	var unsigned, signed int64
	for i, b := range block {
		if start <= i && i < end {
			b = ' '
		}
		unsigned += int64(b)
		signed += int64(int8(b)) // what some old writers summed
	}
	sum, err := strconv.ParseInt(string(bytes.Trim(block[start:end], " \x00")), 8, 64)
	return err == nil && (sum == unsigned || sum == signed)
}

// newEntry turns a tar header into an Entry. It reports false for members that
// are no part of the image: global PAX headers and AUFS metadata.
func newEntry(hdr *tar.Header) (Entry, bool, error) {
	if hdr.Typeflag == tar.TypeXGlobalHeader {
		return Entry{}, false, nil
	}
	name, err := cleanPath(hdr.Name)
	if err != nil || isAUFSMetadata(name) {
		return Entry{}, false, err
	}
	if ent, ok, err := parseWhiteout(name); ok || err != nil {
		return ent, ok, err
	}
	ent := Entry{
		Path:    name,
		Kind:    kindOf(hdr),
		Mode:    uint32(hdr.Mode & modeBits),
		UID:     hdr.Uid,
		GID:     hdr.Gid,
		ModTime: boundTime(hdr.ModTime),
		Xattrs:  xattrs(hdr.PAXRecords),
	}
	if ent.Kind == File {
		ent.Size = hdr.Size
	}
	if ent.Linkname, err = linkname(ent.Kind, hdr.Linkname); err != nil {
		return Entry{}, false, err
	}
	return ent, true, check(ent)
}

// check refuses what no file system can hold.
func check(ent Entry) error {
	if ent.Path == "" && ent.Kind != Dir {
		return fmt.Errorf("the root is a directory and cannot become a %s", ent.Kind)
	}
	for _, id := range []int{ent.UID, ent.GID} {
		if id < 0 || id > maxID {
			return fmt.Errorf("its owner %d:%d is not within 0 to %d", ent.UID, ent.GID, maxID)
		}
	}
	return nil
}

// kindOf returns the kind that a header asks for. Old archives mark a
// directory by a slash at the end of its name only.
func kindOf(hdr *tar.Header) Kind {
	switch hdr.Typeflag {
	case tar.TypeReg, tar.TypeCont, tar.TypeGNUSparse:
		if strings.HasSuffix(hdr.Name, "/") {
			return Dir
		}
		return File
	case tar.TypeDir:
		return Dir
	case tar.TypeSymlink:
		return Symlink
	case tar.TypeLink:
		return HardLink
	case tar.TypeFifo:
		return Fifo
	case tar.TypeChar, tar.TypeBlock:
		return Device
	}
	return Unknown
}

// boundTime clamps t to the instants that maxSeconds describes.
func boundTime(t time.Time) time.Time {
	switch s := t.Unix(); {
	case s >= maxSeconds:
		return time.Unix(maxSeconds, 0)
	case s < -maxSeconds:
		return time.Unix(-maxSeconds, 0)
	}
	return t
}

// xattrs returns the extended attributes among PAX records, nil if none.
func xattrs(records map[string]string) map[string]string {
	var attrs map[string]string
	for key, value := range records {
		name, ok := strings.CutPrefix(key, xattrPrefix)
		if !ok {
			continue
		}
		if attrs == nil {
			attrs = make(map[string]string)
		}
		attrs[name] = value
	}
	return attrs
}
