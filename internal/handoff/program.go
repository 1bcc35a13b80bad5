package handoff

import (
	"errors"
	"fmt"
	"path"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/drengskapur/fastmcp-runner/internal/launch"
)

// program is the file that replaces this process: a path, or a descriptor that
// was opened when the path still led to it.
type program struct {
	path string
	fd   int // -1 for none
}

func findProgram(opts Options) (program, error) {
	p := program{path: opts.Path, fd: -1}
	if !path.IsAbs(opts.Path) {
		return p, fmt.Errorf("cannot exec %q: not an absolute path", opts.Path)
	}
	if !opts.Outside {
		return p, nil
	}
	// O_PATH: to execute a file one need not be able to read it.
	fd, err := unix.Open(opts.Path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return p, execError(opts.Path, err)
	}
	p.fd = fd
	return p, nil
}

// exec replaces this process. It returns only an error.
func (p program) exec(plan launch.Plan) error {
	if p.fd < 0 {
		// It also gives back the RLIMIT_NOFILE that the Go runtime raised at
		// its start.
		return unix.Exec(p.path, plan.Argv, plan.Env)
	}
	// Nothing else than unix.Exec gives the limit back, and it does so before
	// it finds that no file has an empty name.
	if err := unix.Exec("", plan.Argv, plan.Env); !errors.Is(err, unix.ENOENT) {
		return err
	}
	return execDescriptor(p.fd, plan.Argv, plan.Env)
}

// execDescriptor is fexecve(3), by execveat(2): package unix has no function
// for it, and /proc/self/fd is not in every root.
func execDescriptor(fd int, argv, env []string) error {
	args, err := syscall.SlicePtrFromStrings(argv)
	if err != nil {
		return err
	}
	vars, err := syscall.SlicePtrFromStrings(env)
	if err != nil {
		return err
	}
	var empty byte
	//nolint:gosec // the pointers are to what execve(2) reads: strings that end in NUL, and lists of them that end in nil
	_, _, errno := unix.RawSyscall6(unix.SYS_EXECVEAT, uintptr(fd), uintptr(unsafe.Pointer(&empty)),
		uintptr(unsafe.Pointer(&args[0])), uintptr(unsafe.Pointer(&vars[0])), unix.AT_EMPTY_PATH, 0)
	return errno
}
