package program_test

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"io"
	"strings"
	"testing"

	"github.com/drengskapur/fastmcp-runner/internal/program"
)

// countingReader counts what is read through it.
type countingReader struct {
	io.ReaderAt
	n int
}

func (c *countingReader) ReadAt(p []byte, offset int64) (int, error) {
	c.n += len(p)
	return c.ReaderAt.ReadAt(p, offset)
}

func FuzzParseELF(f *testing.F) {
	glibc, _ := loaders()
	f.Add([]byte(elfText(native(), elf.ET_DYN, glibc)))
	f.Add([]byte(elfText(native(), elf.ET_EXEC, "")))
	f.Add([]byte(elfText(native(), elf.ET_EXEC, ""))[:70])
	f.Add([]byte(elf32Text(elf.EM_PPC, binary.BigEndian, "/lib/ld.so.1")))
	f.Add([]byte("\x7fELF\x01\x02" + strings.Repeat("\x00", 60)))
	f.Fuzz(func(t *testing.T, text []byte) {
		reader := &countingReader{ReaderAt: bytes.NewReader(text)}
		parsed, err := program.ParseELF(reader)
		if most := 16 + 64 + 64<<10 + 4096; reader.n > most {
			t.Errorf("%d bytes were read, more than %d", reader.n, most)
		}
		again, againErr := program.ParseELF(bytes.NewReader(text))
		if parsed != again || (err == nil) != (againErr == nil) {
			t.Errorf("ParseELF = %+v, %v, and then %+v, %v", parsed, err, again, againErr)
		}
	})
}

func FuzzParseShebang(f *testing.F) {
	f.Add([]byte("#!/bin/sh -e\nexit"))
	f.Add([]byte("#!/usr/bin/env -S python3 -u\r\n"))
	f.Add([]byte("#! \t/a\x00b"))
	f.Add([]byte("#!" + strings.Repeat("x", 254)))
	f.Fuzz(func(t *testing.T, head []byte) {
		if len(head) > 256 {
			head = head[:256]
		}
		line, err := program.ParseShebang(append([]byte("#!"), head...)[:min(len(head)+2, 256)])
		if err != nil {
			return
		}
		name := program.EnvCommand(line)
		if strings.ContainsAny(name, "\n\x00") {
			t.Errorf("EnvCommand = %q", name)
		}
		if again, err := program.ParseShebang([]byte(program.Text(line) + "\n")); err != nil || again != line {
			t.Errorf("ParseShebang of its own text = %+v, %v, want %+v", again, err, line)
		}
	})
}
