package e2e_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/drengskapur/fastmcp-runner/test/daemon"
)

// engine is a container engine, driven by its command line.
type engine struct {
	host string // as for docker --host; empty for the one that the environment names
}

// findEngine returns the engine that answers, or starts one below dir.
func findEngine(ctx context.Context, dir string) (eng engine, stop func() error, err error) {
	if os.Geteuid() != 0 {
		return engine{}, nil, fmt.Errorf("%w: these tests need root", errNoEngine)
	}
	if eng.answers(ctx) == nil {
		return eng, func() error { return nil }, nil
	}
	eng, stop, err = startEngine(ctx, dir)
	if err != nil {
		return engine{}, nil, fmt.Errorf("%w: %w", errNoEngine, err)
	}
	return eng, stop, nil
}

// startEngine starts a dockerd that shares nothing with another one on the
// machine and leaves the machine's network as it is: no bridge, no packet
// filter.
func startEngine(ctx context.Context, dir string) (engine, func() error, error) {
	if err := os.Mkdir(dir, 0o711); err != nil {
		return engine{}, nil, err
	}
	config := filepath.Join(dir, "daemon.json")
	if err := os.WriteFile(config, []byte(engineConfig()), 0o600); err != nil {
		return engine{}, nil, err
	}
	eng := engine{host: "unix://" + filepath.Join(dir, "docker.sock")}
	d, err := daemon.Start(filepath.Join(dir, "log"), exec.CommandContext(context.WithoutCancel(ctx), "dockerd",
		"--config-file", config, "--host", eng.host,
		"--bridge=none", "--iptables=false", "--ip6tables=false",
		"--data-root", filepath.Join(dir, "data"),
		"--exec-root", filepath.Join(dir, "exec"),
		"--pidfile", filepath.Join(dir, "pid")))
	if err != nil {
		return engine{}, nil, err
	}
	stop := func() error { return errors.Join(d.Stop(), unmountBelow(dir)) }
	if err := d.Ready(ctx, eng.answers); err != nil {
		return engine{}, nil, errors.Join(err, stop())
	}
	return eng, stop, nil
}

// unmountBelow unmounts what dockerd leaves mounted: the network namespace
// that its containers shared.
func unmountBelow(dir string) error {
	file, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	defer file.Close()
	var points []string
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if fields := strings.Fields(lines.Text()); strings.HasPrefix(fields[4], dir+"/") {
			points = append(points, fields[4])
		}
	}
	errs := []error{lines.Err()}
	for _, point := range slices.Backward(points) {
		errs = append(errs, unix.Unmount(point, unix.MNT_DETACH))
	}
	return errors.Join(errs...)
}

// answers reports whether there is an engine.
func (e engine) answers(ctx context.Context) error {
	_, err := e.docker(ctx, "version", "--format", "{{.Server.Version}}")
	return err
}

// docker runs one command of the engine's command line and returns what it
// printed.
func (e engine) docker(ctx context.Context, args ...string) (string, error) {
	out, err := output(e.command(ctx, args...))
	return strings.TrimSpace(out), err
}

func (e engine) command(ctx context.Context, args ...string) *exec.Cmd {
	if e.host != "" {
		args = append([]string{"--host", e.host}, args...)
	}
	cmd := exec.CommandContext(ctx, "docker", args...)
	// The classic builder, which is all that Debian's docker.io has: what it
	// can build, every builder can.
	cmd.Env = append(cmd.Environ(), "DOCKER_BUILDKIT=0")
	return cmd
}
