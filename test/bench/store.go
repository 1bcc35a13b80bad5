package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/drengskapur/fastmcp-runner/test/daemon"
)

// store is a real registry, the CNCF's distribution, on a loopback port.
type store struct {
	address string
	daemon  *daemon.Daemon
}

// startStore starts an empty registry below dir, at an address of loopback, or
// where the kernel chooses if that is empty.
func startStore(ctx context.Context, dir, address string) (*store, error) {
	if address == "" {
		address = "127.0.0.1:0"
	}
	config := filepath.Join(dir, "config.yml")
	body := fmt.Sprintf("version: 0.1\nlog: {level: info, accesslog: {disabled: true}}\n"+
		"storage: {filesystem: {rootdirectory: %q}}\nhttp: {addr: %q, secret: none}\n", filepath.Join(dir, "data"), address)
	if err := os.WriteFile(config, []byte(body), 0o600); err != nil {
		return nil, err
	}
	d, err := daemon.Start(filepath.Join(dir, "log"), exec.CommandContext(context.WithoutCancel(ctx), "docker-registry", "serve", config))
	if err != nil {
		return nil, err
	}
	s := &store{daemon: d}
	if err := d.Ready(ctx, func(context.Context) error { return s.find() }); err != nil {
		return nil, errors.Join(err, d.Stop())
	}
	return s, nil
}

// find reads from the log at which port the kernel has put the registry.
func (s *store) find() error {
	log, err := os.ReadFile(s.daemon.Log)
	if err != nil {
		return err
	}
	m := regexp.MustCompile(`listening on (127\.0\.0\.1:\d+)`).FindSubmatch(log)
	if m == nil {
		return errors.New("it does not listen")
	}
	s.address = string(m[1])
	return nil
}

// repository is where the images are.
const repository = "bench/image"

// reference is how a registry's clients call what was pushed with a tag.
func reference(host, tag string) string { return host + "/" + repository + ":" + tag }

// push stores an image with a tag.
func (s *store) push(ctx context.Context, tag string, ls layers) error {
	img, err := ls.image()
	if err != nil {
		return err
	}
	ref, err := name.ParseReference(reference(s.address, tag))
	if err != nil {
		return err
	}
	return remote.Write(ref, img, remote.WithContext(ctx))
}
