package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// cached returns the path of a file or directory that depends on nothing but
// key, made by build at most once: what the network had to give is kept in the
// user's cache directory, beside that of test/e2e.
func cached(name string, key []string, build func(path string) error) (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir = filepath.Join(dir, "fastmcp-runner-test")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(strings.Join(key, "\x00")))
	path := filepath.Join(dir, name+"-"+hex.EncodeToString(sum[:6]))
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	return path, buildAt(path, build)
}

// buildAt builds beside path and renames, so that path is whole or missing.
func buildAt(path string, build func(path string) error) error {
	scratch, err := os.MkdirTemp(filepath.Dir(path), "new-")
	if err != nil {
		return err
	}
	part := filepath.Join(scratch, "part")
	if err := build(part); err != nil {
		err = fmt.Errorf("cannot make %s: %w", filepath.Base(path), err)
		return errors.Join(err, os.RemoveAll(scratch))
	}
	err = os.Rename(part, path)
	if errors.Is(err, fs.ErrExist) { // another run was faster, with the same result
		err = nil
	}
	return errors.Join(err, os.RemoveAll(scratch))
}
