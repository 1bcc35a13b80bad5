// Command rootfs writes the file system of the runner's rootfs image as a tar
// archive to standard output: the static binary and empty directories, and
// nothing else. It is an archive, and not a list of COPY lines, because
// builders keep the owners, links and extended attributes of an archive that
// they ADD.
package main

import (
	"archive/tar"
	"bytes"
	"encoding/binary"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// user is whom platforms run containers as that let nobody be root.
const user = 1000

func main() {
	name := flag.String("binary", "bin/fastmcp-runner", "the static binary to pack")
	flag.Parse()
	if err := run(*name, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "rootfs:", err)
		os.Exit(1)
	}
}

func run(name string, w io.Writer) error {
	content, err := os.ReadFile(name) //nolint:gosec // the name comes from the Makefile
	if err != nil {
		return err
	}
	var buf bytes.Buffer
	t := tar.NewWriter(&buf)
	for _, hdr := range directories() {
		if err := t.WriteHeader(hdr); err != nil {
			return err
		}
	}
	if err := t.WriteHeader(program(len(content))); err != nil {
		return err
	}
	if _, err := t.Write(content); err != nil {
		return err
	}
	if err := t.Close(); err != nil {
		return err
	}
	_, err = w.Write(buf.Bytes())
	return err
}

// directories are made beforehand and belong to the user, because the root
// itself belongs to root whatever an image says: engines ignore the owner of
// its entry. What most images have as links into /usr is a link here as well.
func directories() []*tar.Header {
	var list []*tar.Header
	add := func(name string, mode int64) {
		list = append(list, &tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: mode, Uid: user, Gid: user, ModTime: time.Unix(0, 0)})
	}
	// Here the runner notes what it laid, as whoever it is started. The
	// directory is sticky and root's, so that nobody else can put another
	// program in the runner's place, which would get the credentials of the
	// next start.
	list = append(list, &tar.Header{Typeflag: tar.TypeDir, Name: ".fastmcp-runner/", Mode: 0o1777, ModTime: time.Unix(0, 0)})
	for _, name := range []string{
		"app", "boot", "build", "code", "data", "etc", "home", "home/user", "media", "mnt", "opt", "project", "root", "run",
		"server", "service", "services", "snap", "src", "srv", "usr", "var", "work", "workdir", "workspace",
		"usr/bin", "usr/lib", "usr/lib32", "usr/lib64", "usr/libx32", "usr/local", "usr/sbin",
	} {
		add(name, 0o755)
	}
	add("tmp", 0o1777)
	link := func(name, target string) {
		list = append(list, &tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target, Mode: 0o777, ModTime: time.Unix(0, 0)})
	}
	for _, name := range []string{"bin", "lib", "lib32", "lib64", "libx32", "sbin"} {
		link(name, "usr/"+name)
	}
	// Platforms mount secrets below /var/run: through the link they end up
	// where images look for them.
	link("var/run", "/run")
	return list
}

// program is the runner. It is root's, so that no server can change it.
func program(size int) *tar.Header {
	return &tar.Header{
		Typeflag: tar.TypeReg, Name: ".fastmcp-runner/fastmcp-runner", Mode: 0o755, Size: int64(size), ModTime: time.Unix(0, 0),
		PAXRecords: map[string]string{"SCHILY.xattr.security.capability": string(capabilities())},
	}
}

// capabilities are those that an ordinary user may raise: to write where the
// image belongs, with its owners, to become its user, and to pass signals on to
// it. They are permitted and not effective, because a host that withholds one
// of them could not execute the program at all otherwise (capabilities(7),
// "Safety checking for capability-dumb binaries"). The form is that of
// linux/capability.h: struct vfs_cap_data, revision 2.
func capabilities() []byte {
	var permitted uint32
	for _, c := range []uint{unix.CAP_CHOWN, unix.CAP_DAC_OVERRIDE, unix.CAP_FOWNER, unix.CAP_KILL, unix.CAP_SETUID, unix.CAP_SETGID} {
		permitted |= 1 << c
	}
	const revision2 = 0x02000000
	words := []uint32{revision2, permitted, 0, 0, 0}
	return slices.Concat(word(words[0]), word(words[1]), word(words[2]), word(words[3]), word(words[4]))
}

func word(v uint32) []byte { return binary.LittleEndian.AppendUint32(nil, v) }
