package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// The versions of the other gateways, from npm.
const (
	supergatewayVersion = "4.0.0"
	mcpProxyVersion     = "6.7.19"
)

// lab is where gateways are compared.
type lab struct {
	dir      string // of this run alone
	log      io.Writer
	gateways []gateway
	plain    string // the paths of the servers
	sdk      string
}

// newLab returns a lab with our own gateway and its servers. Its owner must
// close it.
func newLab(ctx context.Context, runner string, log io.Writer) (*lab, error) {
	runner, err := filepath.Abs(runner)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "benchbridge-")
	if err != nil {
		return nil, err
	}
	l := &lab{dir: dir, log: log, gateways: []gateway{ownGateway(runner)}}
	for _, server := range []struct {
		name string
		path *string
	}{{"plain", &l.plain}, {"sdk", &l.sdk}} {
		*server.path = filepath.Join(dir, server.name)
		if err := build(ctx, "test/benchbridge/"+server.name, *server.path); err != nil {
			return nil, errors.Join(err, l.close())
		}
	}
	return l, nil
}

// build compiles a program of this module.
func build(ctx context.Context, pkg, path string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", path, "github.com/drengskapur/fastmcp-runner/"+pkg) //nolint:gosec // G204: constants
	cmd.Env = append(cmd.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot build %s: %w\n%s", pkg, err, out)
	}
	return nil
}

// names are those of the gateways.
func (l *lab) names() []string {
	names := make([]string, len(l.gateways))
	for i, g := range l.gateways {
		names[i] = g.name
	}
	return names
}

// say tells whoever watches what is being done.
func (l *lab) say(format string, args ...any) {
	_, _ = fmt.Fprintf(l.log, format+"\n", args...) // there is nobody else to tell
}

func (l *lab) close() error { return os.RemoveAll(l.dir) }

// install gets the other gateways, unless they are there, and returns the path
// of their modules.
func install(ctx context.Context, cache string, log io.Writer) (string, error) {
	cache, err := filepath.Abs(cache)
	if err != nil {
		return "", err
	}
	modules := filepath.Join(cache, "node_modules")
	if _, err := os.Stat(filepath.Join(modules, ".package-lock.json")); err == nil {
		return modules, nil
	}
	if err := os.MkdirAll(cache, 0o755); err != nil { //nolint:gosec // G301: nothing in it is secret
		return "", err
	}
	npm := exec.CommandContext(ctx, "npm", "install", "--prefix", cache, "--no-fund", "--no-audit", "--ignore-scripts", //nolint:gosec // G204: constants, and a directory of the caller's
		"supergateway@"+supergatewayVersion, "mcp-proxy@"+mcpProxyVersion)
	npm.Stdout, npm.Stderr = log, log
	if err := npm.Run(); err != nil {
		return "", fmt.Errorf("cannot install the other gateways: %w", err)
	}
	return modules, nil
}

// describe says in a sentence what was measured, and on which machine.
func describe(ctx context.Context, text io.Writer) error {
	node, err := exec.CommandContext(ctx, "node", "--version").Output()
	if err != nil {
		return fmt.Errorf("cannot run node: %w", err)
	}
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return err
	}
	_, model, _ := strings.Cut(string(info), "model name\t: ")
	model, _, _ = strings.Cut(model, "\n")
	var kernel unix.Utsname
	if err := unix.Uname(&kernel); err != nil {
		return err
	}
	_, err = fmt.Fprintf(text, "Measured on %s beside supergateway %s (`--stateful`) and mcp-proxy %s, with Node %s and %s,\non a machine with %d CPUs (%s), Linux %s.\n",
		time.Now().UTC().Format("2006-01-02"), supergatewayVersion, mcpProxyVersion, strings.TrimSpace(string(node)),
		runtime.Version(), runtime.NumCPU(), model, unix.ByteSliceToString(kernel.Release[:]))
	return err
}
