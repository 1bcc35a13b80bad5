package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// What the benchmark's images are made of, from the registries of Debian, npm
// and PyPI. Each is downloaded once and kept.
const (
	basePackages = "python3,ca-certificates"
	devPackages  = "gcc,g++,git,git-doc,gdb,linux-headers-" // and the architecture
	nodeVersion  = "22.23.3"
)

func nodePackages() []string {
	return []string{
		"typescript@5.6.3", "webpack@5.97.1", "webpack-cli@5.1.4", "date-fns@4.1.0", "lodash@4.17.21", "eslint@9.16.0",
	}
}

func pythonPackages() []string {
	return []string{"fastmcp==2.3.4", "uvicorn==0.34.0", "sqlalchemy==2.0.36"}
}

// debianBase returns an archive of a small Debian with an interpreter: this
// machine's release, by way of this machine's mirror.
func debianBase(ctx context.Context) (string, error) {
	suite, err := debianSuite()
	if err != nil {
		return "", err
	}
	key := append([]string{suite, basePackages, runtime.GOARCH}, debianSources()...)
	return cached("base", key, func(path string) error {
		args := []string{"--quiet", "--variant=minbase", "--format=tar", "--include=" + basePackages, suite, path}
		return run(exec.CommandContext(ctx, "mmdebstrap", append(args, debianSources()...)...))
	})
}

// debianTools returns a directory of compilers, headers and documentation, as
// "apt-get install" in a Dockerfile adds them.
func debianTools(ctx context.Context) (string, error) {
	suite, err := debianSuite()
	if err != nil {
		return "", err
	}
	packages := devPackages + runtime.GOARCH
	key := append([]string{suite, packages}, debianSources()...)
	return cached("bench-tools", key, func(path string) error {
		args := []string{"--quiet", "--variant=extract", "--format=directory", "--include=" + packages, suite, path}
		return run(exec.CommandContext(ctx, "mmdebstrap", append(args, debianSources()...)...))
	})
}

// nodeModules returns a directory that holds node_modules, of many small files.
func nodeModules(ctx context.Context) (string, error) {
	return cached("bench-modules", nodePackages(), func(path string) error { return npmInstall(ctx, path, nodePackages()...) })
}

// nodeProgram returns the one big file: Node itself, as npm has it.
func nodeProgram(ctx context.Context) (string, error) {
	name := "node-linux-" + map[string]string{"amd64": "x64", "arm64": "arm64"}[runtime.GOARCH]
	dir, err := cached("nodejs", []string{name, nodeVersion}, func(path string) error { return npmInstall(ctx, path, name+"@"+nodeVersion) })
	return filepath.Join(dir, "node_modules", name, "bin", "node"), err
}

func npmInstall(ctx context.Context, path string, packages ...string) error {
	args := []string{"install", "--no-audit", "--no-fund", "--ignore-scripts", "--omit=dev", "--prefix", path}
	return run(exec.CommandContext(ctx, "npm", append(args, packages...)...))
}

// sitePackages returns a directory as "pip install" fills site-packages.
func sitePackages(ctx context.Context) (string, error) {
	return cached("bench-site", pythonPackages(), func(path string) error {
		args := slices.Concat([]string{"-m", "pip", "install", "--quiet", "--no-compile", "--target", path}, pythonPackages())
		return run(exec.CommandContext(ctx, "python3", args...))
	})
}

// debianSuite returns the name of this machine's release, see os-release(5).
func debianSuite() (string, error) {
	body, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return "", err
	}
	lines := bufio.NewScanner(bytes.NewReader(body))
	for lines.Scan() {
		if suite, ok := strings.CutPrefix(lines.Text(), "VERSION_CODENAME="); ok {
			return strings.Trim(suite, `"'`), nil
		}
	}
	return "", errors.New("/etc/os-release names no VERSION_CODENAME")
}

// debianSources returns the file that names this machine's Debian mirror, if
// it is at a usual place; without one, mmdebstrap takes the public mirror.
func debianSources() []string {
	for _, name := range []string{"/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list"} {
		if info, err := os.Stat(name); err == nil && info.Size() > 0 {
			return []string{name}
		}
	}
	return nil
}

// run runs a program; an error holds what it wrote.
func run(cmd *exec.Cmd) error {
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, output)
	}
	return nil
}
