// Package packages fetches what tests run of others: programs from package
// registries, by their own clients. What was fetched is kept in the user's
// cache directory, so that a second run needs no network.
package packages

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// nodeVersion is the Node that npm has as a package.
const nodeVersion = "22.23.3"

// NPM returns a directory with the packages that the specs name, such as
// typescript@5.9.2, and with what they need, below node_modules.
func NPM(ctx context.Context, specs ...string) (string, error) {
	specs = slices.Sorted(slices.Values(specs))
	return Keep("npm", specs, func(path string) error {
		return run(ctx, "npm", append([]string{
			"install", "--no-audit", "--no-fund", "--ignore-scripts", "--omit=dev", "--prefix", path,
		}, specs...)...)
	})
}

// Node returns the path of a Node of our own: the machine's may be too old.
func Node(ctx context.Context) (string, error) {
	arch, ok := map[string]string{"amd64": "x64", "arm64": "arm64"}[runtime.GOARCH]
	if !ok {
		return "", fmt.Errorf("npm has no Node for %s", runtime.GOARCH)
	}
	name := "node-linux-" + arch
	dir, err := NPM(ctx, name+"@"+nodeVersion)
	return filepath.Join(dir, "node_modules", name, "bin", "node"), err
}

// PyPI returns a directory with the packages that the requirements name, such
// as fastmcp==4.2.3, and with what they need, for the python3 in PATH.
func PyPI(ctx context.Context, requirements ...string) (string, error) {
	version, err := exec.CommandContext(ctx, "python3", "-c", "import sys; print('%d.%d' % sys.version_info[:2])").Output()
	if err != nil {
		return "", fmt.Errorf("cannot ask python3 for its version: %w", err)
	}
	return PyPIFor(ctx, strings.TrimSpace(string(version)), requirements...)
}

// PyPIFor is PyPI for another Python, such as 3.12.
func PyPIFor(ctx context.Context, version string, requirements ...string) (string, error) {
	key := append(slices.Sorted(slices.Values(requirements)), version)
	return Keep("pypi", key, func(path string) error {
		return run(ctx, "python3", append([]string{
			"-m", "pip", "install", "--quiet", "--only-binary=:all:", "--python-version", version, "--target", path,
		}, requirements...)...)
	})
}

// run runs a program; an error holds what it wrote.
func run(ctx context.Context, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...) //nolint:gosec // G204: what tests ask for is no input
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, output)
	}
	return nil
}
