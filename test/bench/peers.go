package main

import (
	"context"
	"os"
	"path"
	"path/filepath"

	"github.com/drengskapur/fastmcp-runner/test/packages"
)

// The versions of the peers that come from the Go module proxy; the others are
// Debian's.
const (
	craneVersion      = "v0.22.1"
	containerdVersion = "v2.4.2"
	umociVersion      = "v0.6.0"
)

// peers are programs that were built from their sources.
type peers struct {
	crane, containerd, ctr, umoci string
}

func buildPeers(ctx context.Context) (p peers, err error) {
	for _, build := range []struct {
		program         *string
		module, version string
		pkg             string // below the module
	}{
		{&p.crane, "github.com/google/go-containerregistry", craneVersion, "cmd/crane"},
		{&p.umoci, "github.com/opencontainers/umoci", umociVersion, "cmd/umoci"},
		{&p.containerd, "github.com/containerd/containerd/v2", containerdVersion, "cmd/containerd"},
		{&p.ctr, "github.com/containerd/containerd/v2", containerdVersion, "cmd/ctr"},
	} {
		if *build.program, err = goProgram(ctx, build.module, build.version, build.pkg); err != nil {
			return peers{}, err
		}
	}
	return p, nil
}

// goProgram builds a program, and keeps it. `go install` would refuse those
// whose modules replace others; as a dependency they are built without that.
func goProgram(ctx context.Context, module, version, pkg string) (string, error) {
	name := path.Base(pkg)
	dir, err := packages.Keep("bench-"+name, []string{module, version}, func(dir string) error {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
		for _, args := range [][]string{
			{"mod", "init", "peer"},
			{"mod", "edit", "-require=" + module + "@" + version},
			{"build", "-mod=mod", "-o", name, module + "/" + pkg},
		} {
			cmd := command(ctx, "go", args...)
			cmd.Dir = dir
			if err := run(cmd); err != nil {
				return err
			}
		}
		return nil
	})
	return filepath.Join(dir, name), err
}
