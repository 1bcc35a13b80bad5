package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/drengskapur/fastmcp-runner/test/daemon"
)

// engine is a daemon that pulls, with everything that it keeps in one
// directory.
type engine struct {
	program string
	args    []string
	check   []string // a program that succeeds when it is ready
	pull    []string
}

// contest starts the daemon on the empty disk, and measures the pull alone: its
// client, and what the daemon and its children used meanwhile.
func (e engine) contest(ctx context.Context, l lap) (u usage, err error) {
	cmd := command(context.WithoutCancel(ctx), e.program, e.args...)
	cmd.Env = append(cmd.Environ(), "TMPDIR="+l.dir)
	d, err := daemon.Start(l.log.Name()+".daemon", cmd)
	if err != nil {
		return usage{}, err
	}
	defer func() { err = errors.Join(err, d.Stop()) }()
	if err := d.Ready(ctx, func(ctx context.Context) error { return run(command(ctx, e.check[0], e.check[1:]...)) }); err != nil {
		return usage{}, err
	}
	before, _, err := family(d.PID())
	if err != nil {
		return usage{}, err
	}
	if u, err = l.measure(ctx, nil, e.pull...); err != nil {
		return usage{}, fmt.Errorf("%w\n%s", err, d.Tail())
	}
	after, rss, err := family(d.PID())
	u.CPU += after - before
	u.RSS = max(u.RSS, rss)
	return u, err
}

// docker is Docker's own pull, in an engine that leaves the machine's network
// as it is and takes no notice of another one.
func (b *bench) docker() contestant {
	return contestant{name: "docker pull", run: func(ctx context.Context, l lap) (usage, error) {
		dir, err := l.mkdir("docker")
		if err != nil {
			return usage{}, err
		}
		host := "unix://" + filepath.Join(dir, "sock")
		return engine{
			program: "dockerd",
			args: []string{
				"--host", host, "--bridge=none", "--iptables=false", "--ip6tables=false", "--data-root", filepath.Join(dir, "data"),
				"--exec-root", filepath.Join(dir, "exec"), "--pidfile", filepath.Join(dir, "pid"),
			},
			check: []string{"docker", "--host", host, "version"},
			pull:  []string{"docker", "--host", host, "pull", "--quiet", l.ref},
		}.contest(ctx, l)
	}}
}

// containerd is its pull with so many layers unpacked at once.
func (b *bench) containerd(name string, unpacks int) contestant {
	return contestant{name: name, run: func(ctx context.Context, l lap) (usage, error) {
		dir, err := l.mkdir("containerd")
		if err != nil {
			return usage{}, err
		}
		config, socket := filepath.Join(dir, "config.toml"), filepath.Join(dir, "sock")
		if err := os.WriteFile(config, fmt.Appendf(nil, containerdConfig, dir, unpacks), 0o600); err != nil {
			return usage{}, err
		}
		ctr := []string{b.peers.ctr, "--address", socket}
		return engine{
			program: b.peers.containerd,
			args:    []string{"--config", config},
			check:   append(ctr[:3:3], "images", "list"),
			pull:    append(ctr[:3:3], "images", "pull", "--plain-http", l.ref),
		}.contest(ctx, l)
	}}
}

// containerdConfig turns off what serves Kubernetes and needs a network.
const containerdConfig = `version = 3
root = "%[1]s/root"
state = "%[1]s/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime", "io.containerd.nri.v1.nri"]
[grpc]
address = "%[1]s/sock"
[ttrpc]
address = "%[1]s/sock.ttrpc"
[plugins."io.containerd.transfer.v1.local"]
max_concurrent_unpacks = %[2]d
`

// version is what a program says of itself, on one line.
func version(ctx context.Context, name string, args ...string) string {
	out, err := command(ctx, name, args...).Output()
	if err != nil {
		return err.Error()
	}
	line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	return line
}
