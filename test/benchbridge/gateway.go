package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// gateway is a program that serves a stdio server over HTTP.
type gateway struct {
	name string
	// argv is its command line: it serves a server at a port of the loopback.
	argv func(port string, server []string) []string
	// sse is the same for HTTP+SSE; nil if argv serves that too.
	sse func(port string, server []string) []string
	// environ is what it gets besides our environment.
	environ []string
}

// ours is the gateway that the others are compared with.
const ours = "fastmcp-runner"

func ownGateway(runner string) gateway {
	return gateway{name: ours, argv: func(_ string, server []string) []string {
		return append([]string{runner, "bridge", "--"}, server...)
	}}
}

// otherGateways are those whose modules are in a directory.
func otherGateways(modules string) []gateway {
	super := filepath.Join(modules, "supergateway", "dist", "index.js")
	proxy := filepath.Join(modules, ".bin", "mcp-proxy")
	return []gateway{
		{name: "supergateway", argv: func(port string, server []string) []string {
			return []string{"node", super, "--stdio", strings.Join(server, " "), "--outputTransport", "streamableHttp", "--stateful", "--port", port}
		}, sse: func(port string, server []string) []string {
			return []string{"node", super, "--stdio", strings.Join(server, " "), "--outputTransport", "sse", "--port", port}
		}},
		{name: "mcp-proxy", argv: func(port string, server []string) []string {
			return append([]string{"node", proxy, "--host", "127.0.0.1", "--port", port, "--"}, server...)
		}},
	}
}

// instance is a gateway that runs.
type instance struct {
	gateway
	addr  netip.AddrPort
	dir   string // in which it, its servers and what they leave behind run
	cmd   *exec.Cmd
	ended chan struct{} // closed when the gateway has ended
}

// The times that gateways get.
const (
	startTime = 30 * time.Second
	stopTime  = 20 * time.Second
	pollPause = 2 * time.Millisecond
)

// start runs a gateway in front of a server until it listens.
func (l *lab) start(ctx context.Context, g gateway, server ...string) (*instance, error) {
	return l.startAs(ctx, g, g.argv, server...)
}

func (l *lab) startAs(ctx context.Context, g gateway, argv func(string, []string) []string, server ...string) (*instance, error) {
	addr, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(l.dir, g.name+"-")
	if err != nil {
		return nil, err
	}
	port := strconv.Itoa(int(addr.Port()))
	command := argv(port, server)
	cmd := exec.Command(command[0], command[1:]...) //nolint:gosec,noctx // G204: command lines of this program; stop ends it
	cmd.Dir = dir
	cmd.Env = slices.Concat(os.Environ(), g.environ, []string{"PORT=" + port, "MCP_HOST=127.0.0.1", "PWD=" + dir}) //nolint:forbidigo // the gateways are to find their programs
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	in := &instance{gateway: g, addr: addr, dir: dir, cmd: cmd, ended: make(chan struct{})}
	go func() { _ = cmd.Wait(); close(in.ended) }() // its exit code is in cmd.ProcessState
	return in, in.await(ctx)
}

// await waits until the gateway listens.
func (in *instance) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	for {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", in.addr.String())
		if err == nil {
			return conn.Close()
		}
		select {
		case <-in.ended:
			return fmt.Errorf("%s does not start: %s", in.name, in.cmd.ProcessState)
		case <-ctx.Done():
			return fmt.Errorf("%s does not listen: %w", in.name, errors.Join(err, ctx.Err(), in.kill()))
		case <-time.After(pollPause):
		}
	}
}

// stop asks the gateway to end, waits until nothing is left of it, and says how
// long that took and what was left at last; that is killed.
func (in *instance) stop() (took time.Duration, left int, err error) {
	began := time.Now()
	if err := in.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return 0, 0, err
	}
	for time.Since(began) < stopTime {
		pids, err := processesIn(in.dir)
		if err != nil {
			return 0, 0, err
		}
		if left = len(pids); left == 0 {
			break
		}
		time.Sleep(pollPause)
	}
	return time.Since(began), left, in.kill()
}

// kill ends the gateway and all that runs in its directory.
func (in *instance) kill() error {
	pids, err := processesIn(in.dir)
	for _, pid := range pids {
		_ = syscall.Kill(pid, syscall.SIGKILL) // fails only when it has ended
	}
	<-in.ended
	return err
}

// freeAddress returns an address of the loopback that was free a moment ago:
// the gateways take a number, and not a listener.
func freeAddress(ctx context.Context) (netip.AddrPort, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return netip.AddrPort{}, err
	}
	addr, err := netip.ParseAddrPort(listener.Addr().String())
	return addr, errors.Join(err, listener.Close())
}
