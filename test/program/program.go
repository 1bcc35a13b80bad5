// Package program compiles programs of this module and runs them on this
// machine, for tests of what needs no container.
package program

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
)

// Module is the path of this module.
const Module = "github.com/drengskapur/fastmcp-runner/"

// dir is where what was compiled is, until the tests are over.
var dir string //nolint:gochecknoglobals // a test binary has one

// RunTests runs tests that need programs, and removes these afterwards. It
// returns the exit status.
func RunTests(m *testing.M) int {
	var err error
	if dir, err = os.MkdirTemp("", "programs-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	status := m.Run()
	if err := os.RemoveAll(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return status
}

// Program is a Go program, compiled when it is first asked for. It is static,
// because images have no system.
type Program struct {
	// Build returns where the program is. It may be called while RunTests runs.
	Build func() (string, error)
}

// Compile returns the program of a package of this module.
func Compile(pkg string) Program { return CompileIn(".", Module+pkg) }

// CompileIn returns the program of any package, in the version that a module
// requires; the module lies in a directory.
func CompileIn(module, pkg string) Program {
	return Program{Build: sync.OnceValues(func() (string, error) {
		own, err := os.MkdirTemp(dir, filepath.Base(pkg)+"-")
		if err != nil {
			return "", err
		}
		bin := filepath.Join(own, filepath.Base(pkg))
		//nolint:gosec // G204: what tests ask for is no input
		cmd := exec.CommandContext(context.Background(), "go", "build", "-o", bin, pkg)
		cmd.Dir = module
		cmd.Env = append(cmd.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("cannot build %s: %w\n%s", pkg, err, out)
		}
		return bin, nil
	})}
}

// Path returns where the program is.
func (p Program) Path(t *testing.T) string {
	t.Helper()
	path, err := p.Build()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// FreePort returns a port that the kernel had free a moment ago: the runner
// takes a number, and not a listener.
func FreePort(t *testing.T) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	tcp, ok := listener.Addr().(*net.TCPAddr)
	if !ok {
		t.Fatalf("%s is no TCP address", listener.Addr())
	}
	return strconv.Itoa(tcp.Port)
}
