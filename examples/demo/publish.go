package main

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// greeterPackage is the program inside the image.
const greeterPackage = "github.com/drengskapur/fastmcp-runner/examples/greeter"

// publish builds the greeter, packs it and pushes it to a registry of its own,
// which serves until stop is called.
func (d demo) publish(ctx context.Context, dir string) (ref name.Reference, stop func() error, err error) {
	program := filepath.Join(dir, "greeter")
	if err := build(ctx, program); err != nil {
		return nil, nil, err
	}
	d.say("1. Built the MCP server %s as a static program.", greeterPackage)
	img, err := pack(program)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot pack the image: %w", err)
	}
	host, stop, err := serveRegistry(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot start a registry: %w", err)
	}
	ref, err = push(ctx, host, img)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot push the image: %w", errors.Join(err, stop()))
	}
	d.say("2. Packed it as an OCI image and pushed it to a registry at %s: %s", host, ref)
	return ref, stop, nil
}

// build compiles the greeter for an image that holds nothing else, so without
// a C library.
func build(ctx context.Context, program string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", program, greeterPackage) //nolint:gosec // program lies in our own directory
	cmd.Env = append(cmd.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot build %s: %w\n%s", greeterPackage, err, output)
	}
	return nil
}

// pack makes an image of one layer with program at /app/greeter.
func pack(program string) (v1.Image, error) {
	body, err := os.ReadFile(program) //nolint:gosec // just built by ourselves
	if err != nil {
		return nil, err
	}
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: "app/", Mode: 0o755}); err != nil {
		return nil, err
	}
	hdr := &tar.Header{Typeflag: tar.TypeReg, Name: "app/greeter", Mode: 0o755, Size: int64(len(body))}
	if err := w.WriteHeader(hdr); err != nil {
		return nil, err
	}
	if _, err := w.Write(body); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	opener := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(layer.Bytes())), nil }
	l, err := tarball.LayerFromOpener(opener, tarball.WithCompressedCaching)
	if err != nil {
		return nil, err
	}
	img, err := mutate.AppendLayers(empty.Image, l)
	if err != nil {
		return nil, err
	}
	return configure(img)
}

// configure gives img what a Dockerfile would have given it.
func configure(img v1.Image) (v1.Image, error) {
	cf, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	cf = cf.DeepCopy()
	cf.OS, cf.Architecture = "linux", runtime.GOARCH
	cf.Config = v1.Config{
		Entrypoint: []string{"/app/greeter"},
		Env:        []string{"PATH=/usr/local/bin:/usr/bin:/bin"},
		User:       "1000:1000",
		WorkingDir: "/app",
	}
	return mutate.ConfigFile(img, cf)
}

// serveRegistry serves an empty registry on a loopback port that the kernel
// chooses.
func serveRegistry(ctx context.Context) (host string, stop func() error, err error) {
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	srv := &http.Server{
		Handler:           registry.New(registry.Logger(slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo))),
		ReadHeaderTimeout: 10 * time.Second,
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(listener) }()
	return listener.Addr().String(), func() error {
		err := srv.Close()
		if serveErr := <-served; !errors.Is(serveErr, http.ErrServerClosed) {
			err = errors.Join(err, serveErr)
		}
		return err
	}, nil
}

// push pushes img and returns the reference that a user would put into IMAGE.
func push(ctx context.Context, host string, img v1.Image) (name.Reference, error) {
	ref, err := name.ParseReference(host + "/demo/greeter:1")
	if err != nil {
		return nil, err
	}
	return ref, remote.Write(ref, img, remote.WithContext(ctx))
}
