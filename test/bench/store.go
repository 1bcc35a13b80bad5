package main

import (
	"context"

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
	d, address, err := daemon.StartRegistry(ctx, dir, address)
	if err != nil {
		return nil, err
	}
	return &store{address, d}, nil
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
