package program_test

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/drengskapur/fastmcp-runner/internal/ids"
	"github.com/drengskapur/fastmcp-runner/internal/launch"
	"github.com/drengskapur/fastmcp-runner/internal/rootfs"
)

// node is a file of a test's root: a link if it has a target, else a regular
// file.
type node struct {
	text   string
	target string
	mode   os.FileMode
}

func executable(text string) node { return node{text: text, mode: 0o755} }

func plain(text string) node { return node{text: text, mode: 0o644} }

func link(target string) node { return node{target: target} }

// tree is a root as a map of path to node.
type tree map[string]node

// open writes the tree to the disk and opens it.
func (tr tree) open(t *testing.T) (root *rootfs.Root, dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, n := range tr {
		write(t, filepath.Join(dir, name), n)
	}
	root, err := rootfs.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := root.Close(); err != nil {
			t.Error(err)
		}
	})
	return root, dir
}

func write(t *testing.T, name string, n node) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	var err error
	if n.target != "" {
		err = os.Symlink(n.target, name)
	} else {
		err = os.WriteFile(name, []byte(n.text), n.mode)
	}
	if err == nil && n.target == "" {
		err = os.Chmod(name, n.mode) // whatever the umask is
	}
	if err != nil {
		t.Fatal(err)
	}
}

// native, native32 and foreign are the machine that runs the tests, the 32-bit
// one that it can be, and another one.
func native() elf.Machine {
	if runtime.GOARCH == "arm64" {
		return elf.EM_AARCH64
	}
	return elf.EM_X86_64
}

func native32() elf.Machine {
	if runtime.GOARCH == "arm64" {
		return elf.EM_ARM
	}
	return elf.EM_386
}

func foreign() (elf.Machine, string) {
	if runtime.GOARCH == "arm64" {
		return elf.EM_X86_64, "amd64"
	}
	return elf.EM_AARCH64, "arm64"
}

// loaders returns the dynamic loaders of both C libraries on this machine.
func loaders() (glibc, musl string) {
	if runtime.GOARCH == "arm64" {
		return "/lib/ld-linux-aarch64.so.1", "/lib/ld-musl-aarch64.so.1"
	}
	return "/lib64/ld-linux-x86-64.so.2", "/lib/ld-musl-x86_64.so.1"
}

// static is a program that needs nothing else.
func static() node { return executable(elfText(native(), elf.ET_EXEC, "")) }

// elfText builds a 64-bit program by hand: the header, one loadable segment,
// and the name of an interpreter if it has one.
func elfText(machine elf.Machine, kind elf.Type, interpreter string) string {
	header := elf.Header64{Type: uint16(kind), Machine: uint16(machine), Version: 1, Ehsize: 64, Phoff: 64, Phentsize: 56, Phnum: 1}
	copy(header.Ident[:], elf.ELFMAG)
	header.Ident[elf.EI_CLASS] = byte(elf.ELFCLASS64)
	header.Ident[elf.EI_DATA] = byte(elf.ELFDATA2LSB)
	header.Ident[elf.EI_VERSION] = byte(elf.EV_CURRENT)
	progs := []elf.Prog64{{Type: uint32(elf.PT_LOAD)}}
	if interpreter != "" {
		header.Phnum = 2
		progs = append(progs, elf.Prog64{Type: uint32(elf.PT_INTERP), Off: 64 + 2*56, Filesz: uint64(len(interpreter) + 1)})
	}
	var b bytes.Buffer
	for _, part := range []any{header, progs} {
		if err := binary.Write(&b, binary.LittleEndian, part); err != nil {
			panic(err) // a buffer takes every write
		}
	}
	if interpreter != "" {
		b.WriteString(interpreter + "\x00")
	}
	return b.String()
}

// elf32Text builds a 32-bit program by hand, with the name of an interpreter.
func elf32Text(machine elf.Machine, order binary.ByteOrder, interpreter string) string {
	header := elf.Header32{Type: uint16(elf.ET_DYN), Machine: uint16(machine), Version: 1, Ehsize: 52, Phoff: 52, Phentsize: 32, Phnum: 1}
	copy(header.Ident[:], elf.ELFMAG)
	header.Ident[elf.EI_CLASS] = byte(elf.ELFCLASS32)
	header.Ident[elf.EI_DATA] = byte(elf.ELFDATA2LSB)
	if order == binary.BigEndian {
		header.Ident[elf.EI_DATA] = byte(elf.ELFDATA2MSB)
	}
	header.Ident[elf.EI_VERSION] = byte(elf.EV_CURRENT)
	prog := elf.Prog32{Type: uint32(elf.PT_INTERP), Off: 52 + 32, Filesz: uint32(len(interpreter) + 1)}
	var b bytes.Buffer
	for _, part := range []any{header, prog} {
		if err := binary.Write(&b, order, part); err != nil {
			panic(err) // a buffer takes every write
		}
	}
	return b.String() + interpreter + "\x00"
}

// planOf is the plan of a command in /app, with a PATH.
func planOf(searchPath string, argv ...string) launch.Plan {
	return launch.Plan{
		Argv: argv, Env: []string{"PATH=" + searchPath}, Dir: "/app",
		User: ids.User{UID: 4242, GID: 4242},
	}
}
