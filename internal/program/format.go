package program

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// headSize is how much of a file the kernel looks at to tell what it is
// (BINPRM_BUF_SIZE in linux/binfmts.h).
const headSize = 256

// maxInterpreters is how many scripts in a row may name a script as their
// interpreter (exec_binprm in fs/exec.c).
const maxInterpreters = 5

// checkFormat asks whether the kernel can run a file, given that the user may
// execute it; depth counts the scripts that led to it.
func (s search) checkFormat(f file, depth int) *fault {
	content, err := s.root.OpenFile(f.resolved.Path)
	if errors.Is(err, fs.ErrPermission) {
		return nil // may be executed, but not read: the kernel has to find out
	}
	if err != nil {
		return &fault{cause: err.Error(), code: codeCannotExec}
	}
	defer content.Close()
	if fault := checkMount(f, content); fault != nil {
		return fault
	}
	head, err := readHead(content)
	if err != nil {
		return &fault{cause: err.Error(), code: codeCannotExec}
	}
	switch {
	case bytes.HasPrefix(head, []byte("\x7fELF")):
		return s.checkELF(f, content)
	case bytes.HasPrefix(head, []byte("#!")):
		return s.checkScript(f, head, depth)
	}
	return unknownFormat(f, head)
}

// readHead returns what the kernel looks at first.
func readHead(content io.ReaderAt) ([]byte, error) {
	head := make([]byte, headSize)
	n, err := content.ReadAt(head, 0)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return head[:n], err
}

// checkMount recognises a file system from which nothing may be executed.
func checkMount(f file, content *os.File) *fault {
	var mount unix.Statfs_t
	if err := unix.Fstatfs(int(content.Fd()), &mount); err != nil || mount.Flags&unix.ST_NOEXEC == 0 {
		return nil // what cannot be told here, execve will tell
	}
	return &fault{
		cause: show(f.path) + " lies on a file system that is mounted noexec",
		code:  codeCannotExec,
		hint:  "mount it without noexec, or put the program elsewhere in the image",
	}
}

// unknownFormat tells the usual files that are no program from each other.
func unknownFormat(f file, head []byte) *fault {
	what, hint := " is neither a program nor a script that begins with #!", "begin the script with a line such as #!/bin/sh"
	switch {
	case len(head) == 0:
		what, hint = " is empty", "check how the image was built"
	case bytes.HasPrefix(head, []byte("\xef\xbb\xbf#!")):
		what, hint = " begins with a byte order mark before its #!", "save the script as UTF-8 without a byte order mark"
	case bytes.HasPrefix(head, []byte("MZ")):
		what, hint = " is a program for Windows", "build the program for Linux"
	case bytes.HasPrefix(head, []byte("\xcf\xfa\xed\xfe")):
		what, hint = " is a program for macOS", "build the program for Linux"
	}
	return &fault{cause: show(f.path) + what, code: codeCannotExec, hint: hint}
}

// checkScript follows the first line of a script to what it names.
func (s search) checkScript(f file, head []byte, depth int) *fault {
	if depth == maxInterpreters {
		return &fault{cause: show(f.path) + " is a script for a script for a script, and so on: too many", code: codeCannotExec}
	}
	line, err := parseShebang(head)
	if err != nil {
		return &fault{cause: show(f.path) + ": " + err.Error(), code: codeCannotExec, hint: shebangHint(err)}
	}
	interpreter, fault := s.executable(s.absolute(line.interpreter))
	if fault != nil {
		return fault.neededBy(f, line)
	}
	if fault := s.checkFormat(interpreter, depth+1); fault != nil {
		return fault.neededBy(f, line)
	}
	if name := line.envCommand(); name != "" {
		return s.checkEnvCommand(f, line, name)
	}
	return nil
}

// checkEnvCommand looks for what env(1) will look for.
func (s search) checkEnvCommand(f file, line shebang, name string) *fault {
	command, fault := s.lookup(name)
	if fault == nil {
		fault = s.checkFormat(command, 0)
	}
	if fault != nil {
		return fault.neededBy(f, line)
	}
	return nil
}

// neededBy says which script's first line is at fault. The program itself was
// found then, and cannot be executed.
func (f *fault) neededBy(script file, line shebang) *fault {
	hint := f.hint
	if hint == "" && f.lacks != "" {
		hint = hintForContent
	}
	return &fault{
		cause: fmt.Sprintf("%s needs the interpreter in its first line, %q: %s", show(script.path), line.text, f.cause),
		code:  codeCannotExec,
		hint:  hint,
		lacks: f.lacks, outside: f.outside,
	}
}

// shebang is the first line of a script.
type shebang struct {
	text        string // the whole line, "#!" included
	interpreter string
	argument    string // all the rest, in one piece
}

// errCRLF is what Windows editors do to a script.
var errCRLF = errors.New("its first line ends in CR LF, so that the interpreter's name ends in a carriage return")

func shebangHint(err error) string {
	if errors.Is(err, errCRLF) {
		return "save the script with Unix line ends, for Git by \"*.sh text eol=lf\" in .gitattributes"
	}
	return "begin the script with a line such as #!/bin/sh"
}

// parseShebang reads the first line of a script as load_script in the kernel's
// fs/binfmt_script.c does.
func parseShebang(head []byte) (shebang, error) {
	line, _, whole := bytes.Cut(head, []byte("\n"))
	whole = whole || len(head) < headSize
	line, _, _ = bytes.Cut(line, []byte("\x00"))
	text := strings.TrimRight(string(line), " \t")
	if strings.HasSuffix(text, "\r") {
		return shebang{}, errCRLF
	}
	interpreter, argument := cutBlank(strings.TrimLeft(strings.TrimPrefix(text, "#!"), " \t"))
	if interpreter == "" {
		return shebang{}, errors.New("its first line names no interpreter")
	}
	if !whole && argument == "" {
		return shebang{}, fmt.Errorf("its first line is longer than %d bytes", headSize)
	}
	return shebang{text, interpreter, strings.TrimLeft(argument, " \t")}, nil
}

// cutBlank cuts a text at its first blank.
func cutBlank(text string) (before, after string) {
	if i := strings.IndexAny(text, " \t"); i >= 0 {
		return text[:i], text[i:]
	}
	return text, ""
}

// envCommand returns the command that env(1) is to run when the interpreter
// is env. Without -S the argument is one word, whatever blanks it holds.
func (l shebang) envCommand() string {
	if path.Base(l.interpreter) != "env" {
		return ""
	}
	rest, split := strings.CutPrefix(l.argument, "-S")
	if !split {
		rest, split = strings.CutPrefix(l.argument, "--split-string=")
	}
	if !split {
		return withoutOptions([]string{l.argument})
	}
	return withoutOptions(strings.Fields(rest))
}

// withoutOptions returns the first word that is no option or assignment.
func withoutOptions(words []string) string {
	for _, word := range words {
		if !strings.HasPrefix(word, "-") && !strings.Contains(word, "=") {
			return word
		}
	}
	return ""
}
