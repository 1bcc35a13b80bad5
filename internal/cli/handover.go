package cli

import (
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

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
	// Listens says that the program itself listens: no bridge is in front of it.
	Listens bool
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
		Listens: true,
		Init:    ready.Init, Namespace: ready.Namespace, StopSignal: ready.StopSignal,
	}
}

// handOver becomes the plan's program, or its parent, which passes files on to
// it. It returns only an error.
func handOver(p Process, o order, files ...*os.File) error {
	defer runtime.KeepAlive(files) // a file that nobody needs any more is closed
	if !o.Init {
		return handoff.Exec(o.Plan, o.Options)
	}
	// The environment of a process stays readable in /proc for as long as it
	// lives, and it holds the credentials: the parent is a program that was
	// started without one.
	memory, err := keep("order", o)
	if err != nil {
		return err
	}
	args := []string{programName, initName}
	for _, f := range append([]*os.File{memory}, files...) {
		if _, err := unix.FcntlInt(f.Fd(), unix.F_SETFD, 0); err != nil {
			return fmt.Errorf("cannot pass the order on: %w", err)
		}
		args = append(args, fmt.Sprint(f.Fd()))
	}
	err = unix.Exec(executable(), args, p.logEnviron()) //nolint:forbidigo // the same program goes on, as nobody else
	runtime.KeepAlive(memory)
	return fmt.Errorf("cannot start the init process: %w", err)
}

// logEnviron is what of the environment the next process gets: how to log.
func (p Process) logEnviron() []string {
	environ := []string{} // nil would stand for all of it
	for _, entry := range p.Environ {
		if name, _, _ := strings.Cut(entry, "="); name == "LOG_LEVEL" || name == "LOG_FORMAT" {
			environ = append(environ, entry)
		}
	}
	return environ
}

// keep puts a value into a file in memory. Its form is gob, because JSON has no
// strings of any bytes, as arguments and environments are.
func keep(name string, value any) (*os.File, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("cannot keep the %s in memory: %w", name, err)
	}
	f := os.NewFile(uintptr(fd), name)
	if err := gob.NewEncoder(f).Encode(value); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// recall reads a value from the beginning of a file.
func recall(f *os.File, value any) error {
	_, err := f.Seek(0, io.SeekStart)
	if err == nil {
		err = gob.NewDecoder(f).Decode(value)
	}
	if err != nil {
		return fmt.Errorf("cannot read the order: %w", err)
	}
	return nil
}

const (
	// programName is what our processes call themselves.
	programName = "fastmcp-runner"

	// The names of the commands that the program starts itself with.
	initName   = "init"
	becomeName = "become"
	serveName  = "serve"
)

// initCommand is the parent of a server: PID 1 in a container.
func initCommand(p Process) *cobra.Command {
	return &cobra.Command{
		Use:    initName + " FD...",
		Short:  "Stay as the parent of the server whose order is in a descriptor, with more for the server",
		Args:   cobra.MinimumNArgs(1),
		Hidden: true,
		RunE: func(_ *cobra.Command, args []string) error {
			files, err := inherit(args)
			if err != nil {
				return err
			}
			var o order
			if err := recall(files[0], &o); err != nil {
				return err
			}
			// What the program's file permits: to signal a server that is
			// another user.
			if _, err := handoff.Raise(); err != nil {
				return fmt.Errorf("cannot raise the capabilities of the runner's file: %w", err)
			}
			code, err := stay(p, o, files)
			if err != nil {
				return err
			}
			return exitWith(code)
		},
	}
}

// stay starts the child that becomes the server, and returns its exit status.
func stay(p Process, o order, files []*os.File) (code int, err error) {
	opts := initd.Options{Log: p.logger(), StopSignal: o.StopSignal}
	// They are the child's: a connection ends when everybody has closed it, and
	// nobody shall find in /proc what the child is to know alone.
	opts.Started = func() error { return closeAll(files) }
	cmd := exec.Command(executable(), becomeName) //nolint:noctx,gosec // it is this program, and ends when the server does
	cmd.Args[0] = programName
	cmd.Env = p.logEnviron()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.ExtraFiles = files
	if o.Namespace {
		cmd.SysProcAttr = namespace()
	}
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, unix.SIGTERM, unix.SIGINT)
	defer signal.Stop(asked)
	began := time.Now()
	code, err = initd.Run(cmd, opts)
	if took := time.Since(began); o.Listens && err == nil && code == 0 && len(asked) == 0 && took < atOnce {
		opts.Log.Warn("The server ended at once, with exit code 0", "took", round(took),
			"hint", "it listens no more: if it speaks stdio, MCP_TRANSPORT=stdio has the runner serve it over HTTP")
	}
	return code, err
}

// atOnce is how soon a server ends that finds nobody at its standard input, with
// all that it imports: one that listens does not end by itself.
const atOnce = 10 * time.Second

func closeAll(files []*os.File) error {
	var err error
	for _, f := range files {
		err = errors.Join(err, f.Close())
	}
	return err
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

// orderFD is where a child finds its order: behind the standard streams. Further
// files follow.
const orderFD = 3

// becomeCommand is the child before it is the server.
func becomeCommand() *cobra.Command {
	return &cobra.Command{
		Use:    becomeName,
		Short:  "Become the server whose order is in descriptor " + strconv.Itoa(orderFD),
		Args:   cobra.NoArgs,
		Hidden: true,
		RunE: func(*cobra.Command, []string) error {
			files, err := inherit([]string{strconv.Itoa(orderFD)})
			if err != nil {
				return err
			}
			var o order
			if err := recall(files[0], &o); err != nil {
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

// inherit takes over the descriptors with these numbers.
func inherit(numbers []string) ([]*os.File, error) {
	files := make([]*os.File, len(numbers))
	for i, number := range numbers {
		fd, err := strconv.Atoi(number)
		if err != nil || fd < orderFD {
			return nil, fmt.Errorf("cannot read the order: %q is no descriptor", number)
		}
		files[i] = os.NewFile(uintptr(fd), "inherited")
	}
	return files, nil
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
