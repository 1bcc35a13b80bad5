package main

import (
	"context"
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
	machine  string // what it is, as a sentence
}

func newLab(ctx context.Context, o options, log io.Writer) (*lab, error) {
	runner, err := filepath.Abs(o.runner)
	if err != nil {
		return nil, err
	}
	modules, err := install(ctx, o.cache, log)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "benchbridge-")
	if err != nil {
		return nil, err
	}
	l := &lab{dir: dir, log: log, gateways: allGateways(runner, modules)}
	for _, server := range []struct {
		name string
		path *string
	}{{"plain", &l.plain}, {"sdk", &l.sdk}} {
		*server.path = filepath.Join(dir, server.name)
		build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", *server.path, "./test/benchbridge/"+server.name) //nolint:gosec // G204: two constants
		build.Env = append(build.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("cannot build the server %s: %w\n%s", server.name, err, out)
		}
	}
	l.machine, err = describe(ctx)
	return l, err
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
func describe(ctx context.Context) (string, error) {
	node, err := exec.CommandContext(ctx, "node", "--version").Output()
	if err != nil {
		return "", fmt.Errorf("cannot run node: %w", err)
	}
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "", err
	}
	_, model, _ := strings.Cut(string(info), "model name\t: ")
	model, _, _ = strings.Cut(model, "\n")
	var kernel unix.Utsname
	if err := unix.Uname(&kernel); err != nil {
		return "", err
	}
	return fmt.Sprintf("Measured on %s by supergateway %s (`--stateful`), mcp-proxy %s, Node %s, %s, on a machine with %d CPUs (%s), Linux %s.",
		time.Now().UTC().Format("2006-01-02"), supergatewayVersion, mcpProxyVersion, strings.TrimSpace(string(node)),
		runtime.Version(), runtime.NumCPU(), model, unix.ByteSliceToString(kernel.Release[:])), nil
}
