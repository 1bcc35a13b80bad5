package main

import (
	"context"
	"fmt"
	"os/exec"
	"runtime"
	"slices"
	"strings"

	"github.com/drengskapur/fastmcp-runner/test/packages"
)

// What the benchmark's images are made of, from the registries of Debian, npm
// and PyPI. Each is downloaded once and kept.

func nodePackages() []string {
	return []string{
		"typescript@5.6.3", "webpack@5.97.1", "webpack-cli@5.1.4", "date-fns@4.1.0", "lodash@4.17.21", "eslint@9.16.0",
	}
}

func pythonPackages() []string {
	return []string{"fastmcp==2.3.4", "uvicorn==0.34.0", "sqlalchemy==2.0.36"}
}

// debianBase returns an archive of a small Debian with an interpreter.
func debianBase(ctx context.Context) (string, error) {
	return packages.DebianBase(ctx, "python3", "ca-certificates")
}

// debianTools returns a directory of compilers, headers and documentation, as
// "apt-get install" in a Dockerfile adds them.
func debianTools(ctx context.Context) (string, error) {
	return packages.DebianFiles(ctx, "gcc", "g++", "git", "git-doc", "gdb", "linux-headers-"+runtime.GOARCH)
}

// nodeModules returns a directory that holds node_modules, of many small files.
func nodeModules(ctx context.Context) (string, error) {
	return packages.NPM(ctx, nodePackages()...)
}

// nodeProgram returns the one big file: Node itself, as npm has it.
func nodeProgram(ctx context.Context) (string, error) { return packages.Node(ctx) }

// sitePackages returns a directory as "pip install" fills site-packages.
func sitePackages(ctx context.Context) (string, error) {
	return packages.Keep("bench-site", pythonPackages(), func(path string) error {
		args := slices.Concat([]string{"-m", "pip", "install", "--quiet", "--no-compile", "--target", path}, pythonPackages())
		return run(exec.CommandContext(ctx, "python3", args...))
	})
}

// run runs a program; an error holds what it wrote.
func run(cmd *exec.Cmd) error {
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, output)
	}
	return nil
}
