// Package facts is what a process can say of itself, read from /proc before it
// has done anything else. The probe tells them, the tests read them.
package facts

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// maxDescriptors is the number of descriptors that are looked at.
const maxDescriptors = 1024

// Facts are what a process says of itself.
type Facts struct {
	// Status holds the fields of /proc/self/status.
	Status map[string]string
	// Environ is the environment that the process was started with.
	Environ []string
	// Args are the arguments that the process was started with.
	Args []string
	// Directory is where the process was started.
	Directory string
	// Descriptors are the open descriptors and what each is open on.
	Descriptors map[int]string
}

// Read returns the facts of the calling process. It must come first: whatever
// opens a descriptor before it is taken for inherited.
func Read() (Facts, error) {
	f := Facts{Descriptors: descriptors()}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return Facts{}, err
	}
	f.Status = Fields(string(status))
	if f.Environ, err = strs("/proc/self/environ"); err != nil {
		return Facts{}, err
	}
	if f.Args, err = strs("/proc/self/cmdline"); err != nil {
		return Facts{}, err
	}
	f.Directory, err = os.Getwd()
	return f, err
}

// descriptors asks for each number by itself: to list a directory would open
// another descriptor.
func descriptors() map[int]string {
	open := map[int]string{}
	for fd := range maxDescriptors {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil {
			continue
		}
		target, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(fd))
		if err != nil {
			target = fmt.Sprintf("unknown: %v", err)
		}
		open[fd] = target
	}
	return open
}

// Fields reads the lines "Name: value" of a status file of /proc.
func Fields(status string) map[string]string {
	m := map[string]string{}
	for line := range strings.Lines(status) {
		if name, value, ok := strings.Cut(line, ":"); ok {
			m[name] = strings.Join(strings.Fields(value), " ")
		}
	}
	return m
}

// strs reads a file of strings that each end in NUL, see proc(5).
func strs(name string) ([]string, error) {
	body, err := os.ReadFile(name) //nolint:gosec // one of the two names above
	if err != nil {
		return nil, err
	}
	var list []string
	for s := range bytes.SplitSeq(bytes.TrimSuffix(body, []byte{0}), []byte{0}) {
		list = append(list, string(s))
	}
	return list, nil
}
