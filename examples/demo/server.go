package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
)

// How long the server may take to answer, and to stop, and how often it is
// asked.
const (
	readyTimeout = time.Minute
	stopTimeout  = 10 * time.Second
	pollInterval = 50 * time.Millisecond
)

// server is the child that begins as the runner and becomes the MCP server.
type server struct {
	port  int
	cmd   *exec.Cmd
	ended chan struct{} // closed once the child is gone
	err   error         // how it ended; to be read after ended
}

// start runs the runner on ref below dir, and waits until the server that it
// becomes answers.
func (d demo) start(ctx context.Context, ref name.Reference, dir string) (*server, error) {
	root, err := makeRoot(dir)
	if err != nil {
		return nil, err
	}
	port, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	settings := []string{"IMAGE=" + ref.String(), "PORT=" + strconv.Itoa(port), "MCP_HOST=127.0.0.1", "RUNNER_ROOT=" + root}
	d.say("3. Starting %s %s. Its whole environment:", d.runner, privileges(os.Geteuid()))
	for _, setting := range settings {
		d.say("       %s", setting)
	}
	srv, err := launch(d.runner, settings, port, &gutter{out: d.out})
	if err != nil {
		return nil, err
	}
	if err := srv.ready(ctx); err != nil {
		_ = srv.stop() // the reason why it never got ready says more
		return nil, err
	}
	return srv, nil
}

// privileges says what the runner does about its user.
func privileges(uid int) string {
	if uid == 0 {
		return "as root, so the server will be UID 1000"
	}
	return fmt.Sprintf("without root, so there is nothing to drop and the server will be UID %d too", uid)
}

// makeRoot makes the directory that plays the container's root. UID 1000 must
// be able to pass through it and the one above.
func makeRoot(dir string) (string, error) {
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // nothing in it is secret
		return "", err
	}
	root := filepath.Join(dir, "root")
	if err := os.Mkdir(root, 0o755); err != nil { //nolint:gosec // as above
		return "", err
	}
	return root, nil
}

// freePort lets the kernel choose a port. It is free again on return, and
// taken by the server a moment later.
func freePort(ctx context.Context) (int, error) {
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer listener.Close()
	addr, err := netip.ParseAddrPort(listener.Addr().String())
	return int(addr.Port()), err
}

// launch starts program with settings as its whole environment, so that the
// demonstration goes the same way on every machine.
func launch(program string, settings []string, port int, log *gutter) (*server, error) {
	cmd := exec.Command(program) //nolint:noctx // it ends by SIGTERM, in stop
	cmd.Env = settings
	cmd.Stdout, cmd.Stderr = log, log
	// Its own process group: the Ctrl-C of the terminal is for the demo, which
	// then stops the server.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start the runner: %w", err)
	}
	srv := &server{port: port, cmd: cmd, ended: make(chan struct{})}
	go func() {
		srv.err = errors.Join(cmd.Wait(), log.flush())
		close(srv.ended)
	}()
	return srv, nil
}

// url returns the address of path at the server.
func (s *server) url(path string) string {
	return "http://127.0.0.1:" + strconv.Itoa(s.port) + path
}

// endpoint returns the address at which the server speaks MCP.
func (s *server) endpoint() string { return s.url("/mcp") }

// ready waits until the server says that it is healthy.
func (s *server) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		err := s.healthy(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-s.ended:
			return fmt.Errorf("the runner ended before the server answered: %w", s.ending())
		case <-ctx.Done():
			return fmt.Errorf("the server does not answer: %w", err)
		}
	}
}

// healthy asks the server once.
func (s *server) healthy(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url("/health"), nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", req.URL, resp.Status)
	}
	return nil
}

// ending says how the server ended, which is an error when nobody asked for it.
func (s *server) ending() error {
	if s.err == nil {
		return errors.New(s.cmd.ProcessState.String())
	}
	return s.err
}

// stop ends the server and waits for it.
func (s *server) stop() error {
	select {
	case <-s.ended:
		return nil
	default:
	}
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("cannot stop the server: %w", err)
	}
	select {
	case <-s.ended:
		return s.err
	case <-time.After(stopTimeout):
	}
	if err := s.cmd.Process.Kill(); err != nil {
		return fmt.Errorf("cannot kill the server: %w", err)
	}
	<-s.ended
	return fmt.Errorf("the server did not stop within %s of SIGTERM and was killed", stopTimeout)
}

// gutter writes the lines of another program indented, behind a bar.
type gutter struct {
	out  io.Writer
	line []byte // what has come of the current line
}

// Write shows the lines that p completes.
func (g *gutter) Write(p []byte) (int, error) {
	g.line = append(g.line, p...)
	for {
		line, rest, found := bytes.Cut(g.line, []byte("\n"))
		if !found {
			return len(p), nil
		}
		if err := g.show(line); err != nil {
			return 0, err
		}
		g.line = rest
	}
}

// flush shows a last line that had no end.
func (g *gutter) flush() error {
	if len(g.line) == 0 {
		return nil
	}
	return g.show(g.line)
}

func (g *gutter) show(line []byte) error {
	_, err := fmt.Fprintf(g.out, "     | %s\n", line)
	return err
}
