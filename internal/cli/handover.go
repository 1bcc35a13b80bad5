package cli

import (
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/drengskapur/fastmcp-runner/internal/boot"
	"github.com/drengskapur/fastmcp-runner/internal/handoff"
	"github.com/drengskapur/fastmcp-runner/internal/initd"
	"github.com/drengskapur/fastmcp-runner/internal/launch"
)

// order is a launch that has been prepared, in a form that passes from one
// process to the next.
type order struct {
	Plan    launch.Plan
	Options handoff.Options

	// Init says that a parent stays.
	Init bool
	// Namespace says that the child lives in a user and mount namespace.
	Namespace bool
	// StopSignal is what the child gets for SIGTERM and SIGINT; zero for these
	// themselves.
	StopSignal unix.Signal
}

func newOrder(ready boot.Ready, umask int) order {
	return order{
		Plan: ready.Plan,
		Options: handoff.Options{
			Path: ready.Path, Umask: umask, Root: ready.Root, Mount: ready.Mount, FakeRoot: ready.FakeRoot,
		},
		Init: ready.Init, Namespace: ready.Namespace, StopSignal: ready.StopSignal,
	}
}

// handOver becomes the server, or its parent. It returns only an error.
func handOver(o order) error {
	if !o.Init {
		return handoff.Exec(o.Plan, o.Options)
	}
	// The environment of a process stays readable in /proc for as long as it
	// lives, and it holds the credentials: the parent is a program that was
	// started without one.
	f, err := o.write()
	if err != nil {
		return err
	}
	if _, err := unix.FcntlInt(f.Fd(), unix.F_SETFD, 0); err != nil {
		return fmt.Errorf("cannot pass the order on: %w", err)
	}
	err = unix.Exec(executable(), []string{"fastmcp-runner", initName, fmt.Sprint(f.Fd())}, nil) //nolint:forbidigo // the same program goes on, as nobody else
	return fmt.Errorf("cannot start the init process: %w", err)
}

// write puts the order into a file in memory. Its form is gob, because JSON has
// no strings of any bytes, as arguments and environments are.
func (o order) write() (*os.File, error) {
	fd, err := unix.MemfdCreate("order", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("cannot keep the order in memory: %w", err)
	}
	f := os.NewFile(uintptr(fd), "order")
	if err := gob.NewEncoder(f).Encode(o); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// readOrder reads the order from its beginning.
func readOrder(f *os.File) (order, error) {
	var o order
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return o, fmt.Errorf("cannot read the order: %w", err)
	}
	if err := gob.NewDecoder(f).Decode(&o); err != nil {
		return o, fmt.Errorf("cannot read the order: %w", err)
	}
	return o, nil
}

// The names of the commands that the program starts itself with.
const (
	initName   = "init"
	becomeName = "become"
)

// initCommand is the parent of a server: PID 1 in a container.
func initCommand(p Process) *cobra.Command {
	return &cobra.Command{
		Use:    initName + " FD",
		Short:  "Stay as the parent of the server whose order is in a descriptor",
		Args:   cobra.ExactArgs(1),
		Hidden: true,
		RunE: func(_ *cobra.Command, args []string) error {
			f, err := openOrder(args[0])
			if err != nil {
				return err
			}
			o, err := readOrder(f)
			if err != nil {
				return err
			}
			// What the program's file permits: to signal a server that is
			// another user.
			if _, err := handoff.Raise(); err != nil {
				return fmt.Errorf("cannot raise the capabilities of the runner's file: %w", err)
			}
			code, err := stay(p, o, f)
			if err != nil {
				return err
			}
			return exitWith(code)
		},
	}
}

// stay starts the child that becomes the server, and returns its exit status.
func stay(p Process, o order, f *os.File) (code int, err error) {
	opts := initd.Options{Log: p.logger(), StopSignal: o.StopSignal}
	cmd := exec.Command(executable(), becomeName) //nolint:noctx,gosec // it is this program, and ends when the server does
	cmd.Args[0] = "fastmcp-runner"
	cmd.Env = []string{}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.ExtraFiles = []*os.File{f}
	if o.Namespace {
		cmd.SysProcAttr = namespace()
	}
	return initd.Run(cmd, opts)
}

// namespace asks for a user namespace and a mount namespace that belongs to it.
// An ordinary user can take only its own ids along; root takes those that
// images use.
func namespace() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER | unix.CLONE_NEWNS}
	if os.Geteuid() == 0 {
		all := []syscall.SysProcIDMap{{Size: 1 << 16}}
		attr.UidMappings, attr.GidMappings, attr.GidMappingsEnableSetgroups = all, all, true
		return attr
	}
	// Somebody who is not root loses by execve what the namespace gives, but
	// for the ambient set (capabilities(7)). Becoming the server clears it.
	attr.AmbientCaps = []uintptr{unix.CAP_SYS_ADMIN, unix.CAP_SYS_CHROOT}
	uid, gid := os.Geteuid(), os.Getegid()
	attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: uid, HostID: uid, Size: 1}}
	attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: gid, HostID: gid, Size: 1}}
	return attr
}

// orderFD is where a child finds its order: behind the standard streams.
const orderFD = "3"

// becomeCommand is the child before it is the server.
func becomeCommand() *cobra.Command {
	return &cobra.Command{
		Use:    becomeName,
		Short:  "Become the server whose order is in descriptor " + orderFD,
		Args:   cobra.NoArgs,
		Hidden: true,
		RunE: func(*cobra.Command, []string) error {
			f, err := openOrder(orderFD)
			if err != nil {
				return err
			}
			o, err := readOrder(f)
			if err != nil {
				return err
			}
			// As above: to become the server's user.
			if _, err := handoff.Raise(); err != nil {
				return fmt.Errorf("cannot raise the capabilities of the runner's file: %w", err)
			}
			o.Options.Parent = os.Getppid()
			return handoff.Exec(o.Plan, o.Options)
		},
	}
}

// openOrder takes over an inherited descriptor.
func openOrder(fd string) (*os.File, error) {
	var n uintptr
	if _, err := fmt.Sscan(fd, &n); err != nil {
		return nil, fmt.Errorf("cannot read the order: %q is no descriptor", fd)
	}
	unix.CloseOnExec(int(n))
	return os.NewFile(n, "order"), nil
}

// exitWith is the end of the server as the end of the runner.
func exitWith(code int) error {
	if code == 0 {
		return nil
	}
	return &exitError{code: code}
}

// exitError says that the server ended with a status that is not 0.
type exitError struct{ code int }

func (e *exitError) Error() string { return fmt.Sprintf("the server ended with %d", e.code) }
func (e *exitError) ExitCode() int { return e.code }
