package program

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/drengskapur/fastmcp-runner/internal/hint"
)

// The exit codes of a shell for a command that does not start.
const (
	codeCannotExec = 126
	codeNotFound   = 127
)

// Error says why the program of a plan cannot start.
type Error struct {
	// Program is what the plan calls it: its Argv[0], or a word for a shell.
	Program string
	// Cause is the reason, such as "not found in PATH=...".
	Cause string
	// Code is 127 if the program was not found and 126 if it was, but cannot
	// be executed.
	Code int
}

func (e *Error) Error() string { return fmt.Sprintf("cannot exec %q: %s", e.Program, e.Cause) }

// ExitCode returns Code.
func (e *Error) ExitCode() int { return e.Code }

// fault is why a file cannot start, before it is known which program of the
// plan needs the file.
type fault struct {
	cause string
	code  int
	hint  string

	// lacks is the path or the name of what is not there, if that is the
	// cause, and outside says that it is not taken from the image. A hint is
	// what to do if the image itself lacks it.
	lacks   string
	outside bool
}

// explain makes the fault the error of a program.
func (s search) explain(program string, f *fault) error {
	return hint.Add(&Error{Program: program, Cause: f.cause, Code: f.code}, s.hintFor(f))
}

// show quotes a path only where it would mislead the reader of a log.
func show(p string) string {
	if quoted := strconv.Quote(p); quoted != `"`+p+`"` || strings.Contains(p, " ") || p == "" {
		return quoted
	}
	return p
}
