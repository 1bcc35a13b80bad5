// Package host finds out what the host allows this process: who it is, which
// rights it has, what is mounted, how much room there is. It reads what the
// kernel tells of itself, tries the rest on children that end at once, and
// changes nothing that outlives them.
//
// From these facts it decides one thing, by which way a whole rootfs can run
// here. It knows nothing of images or of the runner's settings.
package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/drengskapur/fastmcp-runner/internal/ids"
)

// Options say what Probe asks for.
type Options struct {
	// Command is a program, given by its path, with the arguments that make it
	// do nothing and end with status 0. Probe tries on it what cannot be read
	// anywhere; any other status counts as a refusal. If it is empty, nothing
	// is tried.
	Command []string
	// Directories are those whose rights and room are wanted.
	Directories []string
	// Files holds /proc and /sys, without the leading slash; nil means those
	// of this host.
	Files fs.FS
}

// Facts are what the host allows this process. Whatever could not be found out
// has its zero value, and that means unknown.
type Facts struct {
	Kernel  Kernel  `json:"kernel"`
	Machine Machine `json:"machine"`

	User         User            `json:"user"`
	Capabilities *CapabilitySets `json:"capabilities"`
	NoNewPrivs   Verdict         `json:"no_new_privs"`
	Seccomp      Seccomp         `json:"seccomp"`

	// UserNamespaces says whether a child can live in a user and mount
	// namespace of its own, and mount there.
	UserNamespaces Answer `json:"user_namespaces"`
	// Mounting says whether this process itself can leave for a mount
	// namespace of its own, and mount there.
	Mounting Answer `json:"mounting"`
	Chroot   Answer `json:"chroot"`
	// Ptrace says whether children can be traced, as far as is known without
	// trying it.
	Ptrace Answer `json:"ptrace"`

	// Proc says whether /proc is there.
	Proc bool `json:"proc"`
	// Mounts are in the order of mountinfo; nil if they are unknown.
	Mounts []Mount `json:"mounts"`
	Limits Limits  `json:"limits"`

	// Root is /, Tmp is /tmp and Shm is /dev/shm.
	Root Directory `json:"root"`
	Tmp  Directory `json:"tmp"`
	Shm  Directory `json:"shm"`
	// Directories are those that were asked for, in that order.
	Directories []Directory `json:"directories"`

	// Problems are sentences about what is there but could not be read, so
	// that facts are unknown.
	Problems []string `json:"problems"`
}

// Machine is what the process runs on, before any limit.
type Machine struct {
	// Architecture has the name that images use, such as "amd64".
	Architecture string `json:"architecture"`
	// CPUs is how many processors this process may run on.
	CPUs        int   `json:"cpus"`
	MemoryBytes int64 `json:"memory_bytes"`
}

// Probe finds out the facts. It never fails: a host without /proc has them too,
// only fewer.
//
// What it tries is tried with the rights that this process has at that time:
// permitted capabilities that are not effective do not count.
func Probe(ctx context.Context, opts Options) Facts {
	p := probe{texts: texts{opts.Files}, problems: []string{}}
	if opts.Files == nil {
		p.texts.files = os.DirFS("/")
	}
	facts := Facts{
		Kernel:  p.kernel(),
		Machine: p.machine(),
		Proc:    p.texts.exists("/proc/self"),
		Mounts:  p.mounts(),
		Root:    askDirectory("/"),
		Tmp:     askDirectory("/tmp"),
		Shm:     askDirectory("/dev/shm"),

		Directories: []Directory{},
	}
	facts.setStatus(p.status())
	facts.Limits = p.limits(p.cgroups(), facts.Mounts)
	facts.Ptrace = p.ptrace(facts.Proc, facts.Capabilities)
	facts.Try(ctx, opts.Command)
	for _, name := range opts.Directories {
		facts.Directories = append(facts.Directories, askDirectory(name))
	}
	facts.Problems = p.problems
	return facts
}

func (f *Facts) setStatus(status Status) {
	f.User = *status.User
	f.Capabilities = status.Capabilities
	f.NoNewPrivs = status.NoNewPrivs
	f.Seccomp = status.Seccomp
}

// Try finds out what only trying tells: UserNamespaces, Mounting and Chroot. It
// runs the command, which should do nothing, once in each way; without one,
// nothing is tried.
func (f *Facts) Try(ctx context.Context, command []string) {
	attempts := newAttempts(ctx, command)
	var all sync.WaitGroup
	all.Go(func() { f.UserNamespaces = attempts.try(ctx, userNamespace()) })
	all.Go(func() { f.Mounting = attempts.try(ctx, mountNamespace()) })
	all.Go(func() { f.Chroot = attempts.try(ctx, sameRoot()) })
	all.Wait()
}

// probe reads the texts of one host and notes what went wrong.
type probe struct {
	texts    texts
	problems []string
}

// note keeps a problem for the reader of the facts. That a text is missing is
// none: the facts in it are unknown, and that is all.
func (p *probe) note(err error) {
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		p.problems = append(p.problems, err.Error())
	}
}

func (p *probe) kernel() Kernel {
	version, err := p.texts.read("/proc/version")
	if err != nil {
		p.note(err)
		version, err = uname()
		p.note(err)
	}
	kernel := parseKernel(version)
	if p.texts.exists("/proc/sentry-meminfo") { // the sentry is the kernel of gVisor, and no other has it
		kernel.GVisor = Yes
	}
	return kernel
}

func (p *probe) machine() Machine {
	machine := Machine{Architecture: runtime.GOARCH, CPUs: runtime.NumCPU()}
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		p.note(fmt.Errorf("cannot read the size of the memory: %w", err))
		return machine
	}
	machine.MemoryBytes = int64(info.Totalram) * int64(info.Unit) //nolint:gosec // no machine has that much
	return machine
}

// status returns a status whose User is known in any case.
func (p *probe) status() Status {
	var status Status
	text, err := p.texts.read("/proc/self/status")
	if err == nil {
		status, err = ParseStatus(text)
	}
	p.note(err)
	if status.User == nil {
		status.User = p.user()
	}
	return status
}

// user asks the kernel who this process is.
func (p *probe) user() *User {
	groups, err := os.Getgroups()
	p.note(err)
	user := User{User: ids.User{UID: uint32(os.Geteuid()), GID: uint32(os.Getegid())}, Groups: []uint32{}} //nolint:gosec // ids of the kernel fit
	for _, group := range groups {
		user.Groups = append(user.Groups, uint32(group)) //nolint:gosec // ids of the kernel fit
	}
	return &user
}

func (p *probe) mounts() []Mount {
	text, err := p.texts.read("/proc/self/mountinfo")
	if err != nil {
		p.note(err)
		return nil
	}
	mounts, err := ParseMountinfo(text)
	p.note(err)
	return mounts
}

func (p *probe) cgroups() []Cgroup {
	text, err := p.texts.read("/proc/self/cgroup")
	if err != nil {
		p.note(err)
		return nil
	}
	cgroups, err := ParseCgroups(text)
	p.note(err)
	return cgroups
}

func (p *probe) ptrace(proc bool, sets *CapabilitySets) Answer {
	if !proc {
		return Answer{Cause: "there is no /proc"}
	}
	scope, err := p.texts.read("/proc/sys/kernel/yama/ptrace_scope")
	switch {
	case errors.Is(err, fs.ErrNotExist):
		scope = "0"
	case err != nil:
		p.note(err)
		return Answer{Cause: cause(err)}
	}
	return mayTrace(strings.TrimSpace(scope), sets)
}
