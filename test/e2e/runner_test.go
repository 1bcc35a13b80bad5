package e2e_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/drengskapur/fastmcp-runner/test/packages"
)

const (
	baseTag   = "runner-base:test"
	runnerTag = "fastmcp-runner:test"

	// rootfsTag is the flavour that holds nothing but the runner, and
	// childTag an image that somebody built on it with two lines.
	rootfsTag = "fastmcp-runner:test-rootfs"
	childTag  = "fastmcp-runner-child:test"

	// module is the root of the source tree, seen from this package.
	module = "../.."
)

// buildRunner builds the runner's image from the Dockerfile, on a base that
// comes from Debian's packages.
func (l *lab) buildRunner(ctx context.Context) error {
	base, err := cachedBase(ctx)
	if err != nil {
		return err
	}
	if _, err := l.engine.docker(ctx, "import", base, baseTag); err != nil {
		return err
	}
	here := filepath.Join(l.dir, "context")
	if err := buildProgram(ctx, filepath.Join(here, "bin", "fastmcp-runner"), "./cmd/fastmcp-runner"); err != nil {
		return err
	}
	if err := copySources(here, "Dockerfile", "Dockerfile.rootfs", ".dockerignore"); err != nil {
		return err
	}
	if _, err := l.engine.docker(ctx, "build", "--quiet", "--build-arg", "BASE="+baseTag, "--tag", runnerTag, here); err != nil {
		return err
	}
	return l.buildRootfs(ctx, here)
}

// buildRootfs builds the flavour that is nothing but the runner, as "make
// image" does.
func (l *lab) buildRootfs(ctx context.Context, here string) error {
	pack := exec.CommandContext(ctx, "go", "run", "./images/rootfs", "-binary", filepath.Join(here, "bin", "fastmcp-runner"))
	pack.Dir = module
	archive, err := output(pack)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(here, "bin", "rootfs.tar"), []byte(archive), 0o644); err != nil {
		return err
	}
	if _, err := l.engine.docker(ctx, "build", "--quiet", "--file", filepath.Join(here, "Dockerfile.rootfs"), "--tag", rootfsTag, here); err != nil {
		return err
	}
	return l.buildImage(ctx, childTag, "FROM "+rootfsTag+"\nENV MCP_ENV_FROM_CHILD=child\n")
}

// buildImage builds an image from a Dockerfile alone.
func (l *lab) buildImage(ctx context.Context, tag, dockerfile string, args ...string) error {
	cmd := l.engine.command(ctx, slices.Concat([]string{"build", "--quiet", "--tag", tag}, args, []string{"-"})...)
	cmd.Stdin = strings.NewReader(dockerfile)
	_, err := output(cmd)
	return err
}

// copySources copies files of the source tree.
func copySources(to string, names ...string) error {
	for _, name := range names {
		body, err := os.ReadFile(filepath.Join(module, name))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(to, name), body, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func (l *lab) removeImages() error {
	ctx, cancel := context.WithTimeout(context.Background(), promptly)
	defer cancel()
	_, err := l.engine.docker(ctx, "rmi", "--force", childTag, rootfsTag, runnerTag, baseTag)
	return err
}

// buildProgram builds one of our own programs as a static one.
func buildProgram(ctx context.Context, path, pkg string) error {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", absolute, pkg)
	cmd.Dir = module
	cmd.Env = append(cmd.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	_, err = output(cmd)
	return err
}

// cachedBase returns an archive of a small Debian that can take the place of the
// Wolfi base.
func cachedBase(ctx context.Context) (string, error) {
	return packages.DebianBase(ctx, "python3", "ca-certificates")
}
