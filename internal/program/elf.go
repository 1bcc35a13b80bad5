package program

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path"
	"runtime"
	"strings"
)

// The limits within which the kernel reads an ELF file (load_elf_phdrs and
// load_elf_binary in fs/binfmt_elf.c).
const (
	maxProgramHeaders  = 64 << 10 // bytes
	maxInterpreterName = 4096     // PATH_MAX
)

// elfFile is what the kernel looks at before it runs an ELF file.
// debug/elf.File reads much more, the sections above all, and refuses files
// that the kernel runs.
type elfFile struct {
	machine     elf.Machine
	kind        elf.Type
	bigEndian   bool
	interpreter string // empty for a static program
}

// parseELF reads the header and the program headers of an ELF file.
func parseELF(r io.ReaderAt) (elfFile, error) {
	ident := make([]byte, elf.EI_NIDENT)
	if err := readAt(r, ident, 0); err != nil {
		return elfFile{}, err
	}
	var order binary.ByteOrder = binary.LittleEndian
	if elf.Data(ident[elf.EI_DATA]) == elf.ELFDATA2MSB {
		order = binary.BigEndian
	}
	header, err := parseHeader(r, elf.Class(ident[elf.EI_CLASS]), order)
	if err != nil {
		return elfFile{}, err
	}
	f := elfFile{
		machine:   elf.Machine(header.Machine),
		kind:      elf.Type(header.Type),
		bigEndian: order == binary.BigEndian,
	}
	f.interpreter, err = findInterpreter(r, header, elf.Class(ident[elf.EI_CLASS]), order)
	return f, err
}

// parseHeader returns the header of either class in the wider form.
func parseHeader(r io.ReaderAt, class elf.Class, order binary.ByteOrder) (elf.Header64, error) {
	if class == elf.ELFCLASS64 {
		var wide elf.Header64
		err := readStruct(r, &wide, order)
		return wide, err
	}
	if class != elf.ELFCLASS32 {
		return elf.Header64{}, errors.New("neither a 32-bit nor a 64-bit file")
	}
	var h elf.Header32
	err := readStruct(r, &h, order)
	return elf.Header64{
		Type: h.Type, Machine: h.Machine, Phoff: uint64(h.Phoff), Phentsize: h.Phentsize, Phnum: h.Phnum,
	}, err
}

// findInterpreter returns the name that the first PT_INTERP header points to.
func findInterpreter(r io.ReaderAt, header elf.Header64, class elf.Class, order binary.ByteOrder) (string, error) {
	size := binary.Size(elf.Prog64{})
	if class == elf.ELFCLASS32 {
		size = binary.Size(elf.Prog32{})
	}
	if int(header.Phentsize) != size || header.Phnum == 0 || int(header.Phnum)*size > maxProgramHeaders {
		return "", fmt.Errorf("%d program headers of %d bytes", header.Phnum, header.Phentsize)
	}
	table := make([]byte, int(header.Phnum)*size)
	if err := readAt(r, table, header.Phoff); err != nil {
		return "", err
	}
	for ; len(table) > 0; table = table[size:] {
		prog, err := parseProg(table[:size], class, order)
		if err != nil {
			return "", err
		}
		if elf.ProgType(prog.Type) == elf.PT_INTERP {
			return readInterpreter(r, prog)
		}
	}
	return "", nil
}

// parseProg returns a program header of either class in the wider form.
func parseProg(entry []byte, class elf.Class, order binary.ByteOrder) (elf.Prog64, error) {
	var prog elf.Prog64
	if class == elf.ELFCLASS64 {
		_, err := binary.Decode(entry, order, &prog)
		return prog, err
	}
	var narrow elf.Prog32
	_, err := binary.Decode(entry, order, &narrow)
	return elf.Prog64{Type: narrow.Type, Off: uint64(narrow.Off), Filesz: uint64(narrow.Filesz)}, err
}

func readInterpreter(r io.ReaderAt, prog elf.Prog64) (string, error) {
	if prog.Filesz < 2 || prog.Filesz > maxInterpreterName {
		return "", fmt.Errorf("an interpreter name of %d bytes", prog.Filesz)
	}
	name := make([]byte, prog.Filesz)
	if err := readAt(r, name, prog.Off); err != nil {
		return "", err
	}
	text, _, terminated := bytes.Cut(name, []byte("\x00"))
	if !terminated || len(text) == 0 {
		return "", errors.New("an interpreter name without an end")
	}
	return string(text), nil
}

// readStruct reads a header at the beginning of the file.
func readStruct[T elf.Header64 | elf.Header32](r io.ReaderAt, to *T, order binary.ByteOrder) error {
	text := make([]byte, binary.Size(to))
	if err := readAt(r, text, 0); err != nil {
		return err
	}
	_, err := binary.Decode(text, order, to)
	return err
}

// readAt fills buf, or fails.
func readAt(r io.ReaderAt, buf []byte, offset uint64) error {
	if int64(offset) < 0 { //nolint:gosec // the overflow is what is looked for
		return fmt.Errorf("an offset of %d bytes", offset)
	}
	n, err := r.ReadAt(buf, int64(offset)) //nolint:gosec // no overflow: see above
	if n == len(buf) {
		return nil
	}
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// checkELF asks whether this machine can run a file, and whether the root has
// the dynamic loader that the file wants to be loaded by.
func (s search) checkELF(f file, content io.ReaderAt) *fault {
	parsed, err := parseELF(content)
	switch {
	case err != nil:
		return &fault{
			cause: fmt.Sprintf("%s is a damaged program: %v", show(f.path), err),
			code:  codeCannotExec, hint: "check how the image was built",
		}
	case !runsOn(parsed, runtime.GOARCH):
		return &fault{
			cause: fmt.Sprintf("%s is a program for %s, but this machine is %s", show(f.path), archName(parsed), runtime.GOARCH),
			code:  codeCannotExec, hint: "build the image for linux/" + runtime.GOARCH + ", and check RUNNER_PLATFORM if it is set",
		}
	case parsed.kind != elf.ET_EXEC && parsed.kind != elf.ET_DYN:
		return &fault{
			cause: fmt.Sprintf("%s is no program, but an ELF file of type %v", show(f.path), parsed.kind),
			code:  codeCannotExec, hint: "check how the image was built",
		}
	case parsed.interpreter == "":
		return nil
	}
	return s.checkLoader(f, parsed)
}

func (s search) checkLoader(f file, parsed elfFile) *fault {
	_, fault := s.executable(s.absolute(parsed.interpreter))
	if fault == nil {
		return nil
	}
	fault = fault.loaderOf(f, parsed.interpreter, libcOf(parsed.interpreter), s.libc())
	if s.taken.Allows != nil {
		fault.hint += ", or " + s.whole()
	}
	return fault
}

// loaderOf says whose loader is at fault, and whether that is so because the
// image was made for the other C library.
func (f *fault) loaderOf(program file, loader, wants, has string) *fault {
	cause := fmt.Sprintf("%s needs the ELF interpreter %s: %s", show(program.path), show(loader), f.cause)
	hint := "link the program statically"
	if f.code == codeNotFound && wants != "" && has != "" && wants != has {
		cause = fmt.Sprintf("%s was built for %s, but this container has %s: its ELF interpreter %s is missing", show(program.path), wants, has, show(loader))
		hint = fmt.Sprintf("build the image on a base with %s, or link the program statically", has)
	}
	return &fault{cause: cause, code: codeCannotExec, hint: hint}
}

// libcOf tells the C library by the name of its dynamic loader.
func libcOf(loader string) string {
	switch name := path.Base(loader); {
	case strings.HasPrefix(name, "ld-musl-"):
		return "musl"
	case strings.HasPrefix(name, "ld-linux"):
		return "glibc"
	}
	return ""
}

// libc returns the C library of the root, by its dynamic loader.
func (s search) libc() string {
	for _, loader := range []string{
		"/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1",
		"/lib/ld-musl-x86_64.so.1", "/lib/ld-musl-aarch64.so.1",
	} {
		if found, err := s.root.Resolve(loader); err == nil && found.Exists {
			return libcOf(loader)
		}
	}
	return ""
}

// runsOn reports whether a machine runs a program, be it as a 32-bit one. A
// machine unknown here is left to the kernel.
func runsOn(f elfFile, goarch string) bool {
	switch goarch {
	case "amd64":
		return (f.machine == elf.EM_X86_64 || f.machine == elf.EM_386) && !f.bigEndian
	case "arm64":
		return (f.machine == elf.EM_AARCH64 || f.machine == elf.EM_ARM) && !f.bigEndian
	}
	return true
}

// archName returns the name that images use for an architecture.
func archName(f elfFile) string {
	names := map[elf.Machine]string{
		elf.EM_386: "386", elf.EM_X86_64: "amd64", elf.EM_ARM: "arm", elf.EM_AARCH64: "arm64",
		elf.EM_LOONGARCH: "loong64", elf.EM_PPC64: "ppc64le", elf.EM_RISCV: "riscv64", elf.EM_S390: "s390x",
	}
	if f.machine == elf.EM_PPC64 && f.bigEndian {
		return "ppc64"
	}
	if name, ok := names[f.machine]; ok {
		return name
	}
	return f.machine.String()
}
