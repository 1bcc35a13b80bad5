package main

import (
	"context"
	"path/filepath"
	"strings"

	"github.com/drengskapur/fastmcp-runner/internal/allowlist"
)

// ours is the runner in one of its modes. The files are to be whose the image
// says they are, as with the others.
func (b *bench) ours(mode string) contestant {
	return contestant{name: "fastmcp-runner", run: func(ctx context.Context, l lap) (usage, error) {
		return l.measure(ctx, []string{"RUNNER_MODE=" + mode, "RUNNER_USER=0:0"}, b.runner, "pull", l.ref, "--root", l.root())
	}}
}

// craneTar is the shortest way to a whole image that shells have.
func (b *bench) craneTar() contestant {
	return contestant{name: craneName, run: func(ctx context.Context, l lap) (usage, error) {
		return l.shell(ctx, `"$1" export "$2" - | tar xpf - -C "$3"`, b.peers.crane, l.ref, l.root())
	}}
}

// craneCopy is the pipeline that the runner replaced: everything into a staging
// directory, and a copy of what is allowed.
func (b *bench) craneCopy() contestant {
	const script = `"$1" export "$2" - | tar xf - -C "$3"
cd "$3"
taken=()
for p in $5; do if [ -e "$p" ]; then taken+=("$p"); fi; done
cp -a --parents "${taken[@]}" "$4"`
	return contestant{name: craneCopyName, run: func(ctx context.Context, l lap) (usage, error) {
		staging, err := l.mkdir("staging")
		if err != nil {
			return usage{}, err
		}
		return l.shell(ctx, script, b.peers.crane, l.ref, staging, l.root(), allowed())
	}}
}

// allowed are the patterns of the allowlist as a shell expands them, relative
// to the root.
func allowed() string {
	list, err := allowlist.New(nil)
	if err != nil {
		panic("internal error: " + err.Error())
	}
	return strings.ReplaceAll(strings.TrimPrefix(list.String(), "/"), ":/", " ")
}

// skopeoUmoci copies the image to the disk and unpacks it from there: as a
// bundle, which is what most people do with it, or as a bare tree.
func (b *bench) skopeoUmoci(name string, unpack ...string) contestant {
	const script = `skopeo --insecure-policy copy --quiet --src-tls-verify=false "docker://$2" "oci:$3:latest"
exec "$1" "${@:5}" --image "$3:latest" "$4"`
	return contestant{name: name, run: func(ctx context.Context, l lap) (usage, error) {
		args := []string{b.peers.umoci, l.ref, filepath.Join(l.dir, "oci"), filepath.Join(l.dir, "unpacked")}
		return l.shell(ctx, script, append(args, unpack...)...)
	}}
}

// podman pulls into a store of overlays.
func (b *bench) podman() contestant {
	return contestant{name: podmanName, run: func(ctx context.Context, l lap) (usage, error) {
		return l.measure(ctx, nil, "podman",
			"--root", filepath.Join(l.dir, "store"), "--runroot", filepath.Join(l.dir, "run"),
			"--storage-driver", "overlay", "pull", "--quiet", "--tls-verify=false", l.ref)
	}}
}
