package e2e_test

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/drengskapur/fastmcp-runner/test/packages"
)

// nodeVersion is the Node that npm has as a package.
const nodeVersion = "22.23.3"

// wholeImages are images that bring their own system, each made when first
// asked for.
type wholeImages struct {
	debian func() (v1.Layer, error) // a small Debian, for images to be built on
	tools  func() (string, error)   // a directory of programs out of Debian's packages

	python   func() (v1.Image, error)
	node     func() (v1.Image, error)
	files    func() (v1.Image, error)
	alpine   func() (v1.Image, error)
	code     func() (v1.Image, error)
	gosu     func() (v1.Image, error)
	named    func() (v1.Image, error)
	oddities func() (v1.Image, error)
}

func newWholeImages(l *lab) wholeImages {
	return wholeImages{
		debian:   sync.OnceValues(debianLayer),
		tools:    sync.OnceValues(debianTools),
		python:   sync.OnceValues(l.buildWholePython),
		node:     sync.OnceValues(l.buildWholeNode),
		files:    sync.OnceValues(l.buildFilesystem),
		alpine:   sync.OnceValues(l.buildAlpine),
		code:     sync.OnceValues(l.buildCode),
		gosu:     sync.OnceValues(l.buildGosu),
		named:    sync.OnceValues(l.buildNamed),
		oddities: sync.OnceValues(l.buildOddities),
	}
}

// debianLayer is the base as a layer.
func debianLayer() (v1.Layer, error) {
	ctx, cancel := context.WithTimeout(context.Background(), setupTimeout)
	defer cancel()
	base, err := cachedBase(ctx)
	if err != nil {
		return nil, err
	}
	layer, err := packages.Keep("debian-layer", []string{filepath.Base(base)}, func(path string) error { return compress(path, base) })
	if err != nil {
		return nil, err
	}
	return tarball.LayerFromFile(layer)
}

func compress(to, from string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	w, err := gzip.NewWriterLevel(out, gzip.BestSpeed)
	if err != nil {
		return err
	}
	if _, err := io.Copy(w, in); err != nil {
		return err
	}
	return w.Close()
}

// debianTools are gosu, busybox, and musl with what links against it.
func debianTools() (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), setupTimeout)
	defer cancel()
	return packages.DebianFiles(ctx, "musl", "musl-dev", "busybox-static", "gosu")
}

// machine is the name of this architecture in Debian's and musl's file names.
func machine() (string, error) {
	switch runtime.GOARCH {
	case "amd64":
		return "x86_64", nil
	case "arm64":
		return "aarch64", nil
	}
	return "", errors.New("no name is known for " + runtime.GOARCH)
}

// buildWholePython packs a FastMCP server as on the image python:3-slim: a
// Debian, and above it an interpreter of its own in /usr/local, with the one of
// Debian gone.
func (l *lab) buildWholePython() (v1.Image, error) {
	py, err := l.python()
	if err != nil {
		return nil, err
	}
	debian, err := l.whole.debian()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), setupTimeout)
	defer cancel()
	base, err := cachedBase(ctx)
	if err != nil {
		return nil, err
	}
	name := "python" + py.version
	interpreter, err := newLayer(
		dir("usr"), dir("usr/bin"), dir("usr/lib"), dir("usr/local"), dir("usr/local/bin"), dir("usr/local/lib"),
		picked(base, func(p string) (string, bool) {
			library := p == "usr/lib/"+name || strings.HasPrefix(p, "usr/lib/"+name+"/")
			return "usr/local" + strings.TrimPrefix(p, "usr"), library || p == "usr/bin/"+name
		}),
		link("usr/local/bin/python3", name),
		file("usr/bin/.wh."+name, 0o644, ""), file("usr/bin/.wh.python3", 0o644, ""), file("usr/lib/.wh."+name, 0o644, ""),
		// Where Debian's Python has what site-packages is elsewhere.
		tree("usr/local/lib/"+name+"/dist-packages", py.packages))
	if err != nil {
		return nil, err
	}
	server, err := newLayer(tree("app", fastmcpDir))
	if err != nil {
		return nil, err
	}
	return stack(v1.Config{
		Cmd:        []string{"python3", "server.py"},
		Env:        pythonEnviron("", py.version),
		WorkingDir: "/app",
	}, debian, interpreter, server)
}

// buildWholeNode packs the reference server as on the image node:22-slim.
func (l *lab) buildWholeNode() (v1.Image, error) {
	debian, err := l.whole.debian()
	if err != nil {
		return nil, err
	}
	node, err := nodeProgram()
	if err != nil {
		return nil, err
	}
	modules, err := nodeModules()
	if err != nil {
		return nil, err
	}
	layer, err := newLayer(dir("usr/local/bin"), program("usr/local/bin/node", node), tree("app", modules))
	if err != nil {
		return nil, err
	}
	return stack(v1.Config{
		Cmd:        []string{"node", "dist/index.js", "streamableHttp"},
		Env:        environ("", "NODE_VERSION="+nodeVersion),
		WorkingDir: "/app/node_modules/" + nodeServer,
	}, debian, layer)
}

// filesystemServer is the reference server of the MCP project for files.
const filesystemServer = "@modelcontextprotocol/server-filesystem"

// buildFilesystem packs it in the same way: it speaks stdio only.
func (l *lab) buildFilesystem() (v1.Image, error) {
	ctx, cancel := context.WithTimeout(context.Background(), setupTimeout)
	defer cancel()
	modules, err := packages.NPM(ctx, filesystemServer+"@"+nodeServerVersion)
	if err != nil {
		return nil, err
	}
	debian, err := l.whole.debian()
	if err != nil {
		return nil, err
	}
	node, err := nodeProgram()
	if err != nil {
		return nil, err
	}
	layer, err := newLayer(dir("usr/local/bin"), program("usr/local/bin/node", node), tree("app", modules),
		dir("srv"), file("srv/notes", 0o644, imagesNotes))
	if err != nil {
		return nil, err
	}
	return stack(v1.Config{
		Entrypoint: []string{"node", "/app/node_modules/" + filesystemServer + "/dist/index.js"},
		Cmd:        []string{"/srv"},
		Env:        environ("", "NODE_VERSION="+nodeVersion),
		WorkingDir: "/app",
	}, debian, layer)
}

// nodeProgram is Node itself, out of npm's registry.
func nodeProgram() (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), setupTimeout)
	defer cancel()
	return packages.Node(ctx)
}

// buildAlpine packs a server as on the image alpine: no links into /usr, a
// shell that is busybox, and programs that need musl.
func (l *lab) buildAlpine() (v1.Image, error) {
	tools, err := l.whole.tools()
	if err != nil {
		return nil, err
	}
	greeter, err := l.greeterProgram()
	if err != nil {
		return nil, err
	}
	arch, err := machine()
	if err != nil {
		return nil, err
	}
	start, err := l.buildMusl(tools, arch)
	if err != nil {
		return nil, err
	}
	const entrypoint = "#!/bin/sh\nset -e\ntest -n \"$(/usr/bin/id -u)\"\nexec /sbin/start \"$@\"\n"
	return newImage(v1.Config{
		Entrypoint: []string{"docker-entrypoint.sh"},
		Cmd:        []string{"/usr/local/bin/greeter"},
		Env:        environ(""),
	},
		busybox(tools),
		dir("lib"), program("lib/ld-musl-"+arch+".so.1", filepath.Join(tools, "lib", arch+"-linux-musl", "libc.so")),
		link("lib/libc.musl-"+arch+".so.1", "ld-musl-"+arch+".so.1"),
		dir("sbin"), program("sbin/start", start),
		dir("usr/local"), dir("usr/local/bin"), program("usr/local/bin/greeter", greeter),
		file("usr/local/bin/docker-entrypoint.sh", 0o755, entrypoint))
}

// busybox is a shell and its usual commands, as Alpine has them.
func busybox(tools string) content {
	contents := []content{
		dir("bin"), program("bin/busybox", filepath.Join(tools, "bin", "busybox")), dir("usr"), dir("usr/bin"),
		file("etc/passwd", 0o644, "root:x:0:0:root:/root:/bin/sh\napp:x:4321:4321::/home/app:/bin/sh\n"),
		file("etc/group", 0o644, "root:x:0:\napp:x:4321:\n"),
	}
	for _, name := range []string{"cat", "chown", "ln", "ls", "mv", "rm", "sh"} {
		contents = append(contents, link("bin/"+name, "/bin/busybox"))
	}
	contents = append(contents, link("usr/bin/id", "/bin/busybox"), link("usr/bin/env", "../../bin/busybox"))
	return func(w *tar.Writer) error {
		for _, write := range contents {
			if err := write(w); err != nil {
				return err
			}
		}
		return nil
	}
}

// buildMusl links a program against musl, whose parts lie below tools.
func (l *lab) buildMusl(tools, arch string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), setupTimeout)
	defer cancel()
	triple := arch + "-linux-musl"
	static, shared := filepath.Join(tools, "usr/lib", triple), filepath.Join(tools, "lib", triple)
	path := filepath.Join(l.dir, "programs", "start")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", err
	}
	_, err := output(exec.CommandContext(ctx, "gcc", "-nostdinc", "-isystem", filepath.Join(tools, "usr/include", triple),
		"-nostdlib", "-no-pie", "-o", path, filepath.Join(static, "crt1.o"), filepath.Join(static, "crti.o"),
		"testdata/musl/start.c", "-L"+shared, "-lc", filepath.Join(static, "crtn.o"),
		"-Wl,-dynamic-linker,/lib/ld-musl-"+arch+".so.1"))
	return path, err
}

// greeterAt packs the greeter at a path, with further contents.
func (l *lab) greeterAt(p string, config v1.Config, contents ...content) (v1.Image, error) {
	greeter, err := l.greeterProgram()
	if err != nil {
		return nil, err
	}
	config.Env = environ("")
	return newImage(config, append([]content{dir(filepath.Dir(p)), program(p, greeter)}, contents...)...)
}

// buildCode packs a server that starts by a path relative to its directory.
func (l *lab) buildCode() (v1.Image, error) {
	return l.greeterAt("code/greeter", v1.Config{Cmd: []string{"./greeter"}, WorkingDir: "/code"})
}

// gosuScript is how images that begin as root become somebody else.
const gosuScript = "#!/bin/sh\nset -e\nchown -R app /data && exec gosu app \"$@\"\n"

// buildGosu packs a server whose entrypoint expects to be root.
func (l *lab) buildGosu() (v1.Image, error) {
	tools, err := l.whole.tools()
	if err != nil {
		return nil, err
	}
	return l.greeterAt("app/greeter", v1.Config{Entrypoint: []string{"/entrypoint.sh"}, Cmd: []string{"/app/greeter"}},
		busybox(tools), program("usr/sbin/gosu", filepath.Join(tools, "usr/sbin/gosu")),
		file("entrypoint.sh", 0o755, gosuScript), dir("data"), file("data/mine", 0o600, "app's\n"))
}

// buildNamed packs a server with a user that only the image knows.
func (l *lab) buildNamed() (v1.Image, error) {
	return l.greeterAt("app/greeter", v1.Config{Cmd: []string{"/app/greeter"}, User: "app"},
		file("etc/passwd", 0o644, "root:x:0:0:root:/root:/bin/sh\napp:x:4321:8765::/home/app:/bin/sh\n"),
		entry(&tar.Header{Typeflag: tar.TypeDir, Name: "home/app/", Mode: 0o700, Uid: 4321, Gid: 8765}))
}

// buildOddities packs a server among everything that a file system can hold.
func (l *lab) buildOddities() (v1.Image, error) {
	return l.greeterAt("app/greeter", v1.Config{Cmd: []string{"/app/greeter"}}, oddities()...)
}

// fileCapability is cap_net_bind_service+ep, in the form of struct
// vfs_cap_data, revision 2 (linux/capability.h).
const fileCapability = "\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"

func oddities() []content {
	const longName = 200
	attributes := func(pairs ...string) map[string]string {
		records := map[string]string{}
		for i := 0; i < len(pairs); i += 2 {
			records["SCHILY.xattr."+pairs[i]] = pairs[i+1]
		}
		return records
	}
	return []content{
		dir("odd"),
		file("odd/setuid", 0o4755, "setuid\n"), file("odd/setgid", 0o2755, "setgid\n"),
		entry(&tar.Header{Typeflag: tar.TypeDir, Name: "odd/sticky/", Mode: 0o1777}),
		entry(&tar.Header{Typeflag: tar.TypeDir, Name: "odd/team/", Mode: 0o2775, Uid: 12, Gid: 34}),
		entry(&tar.Header{Typeflag: tar.TypeDir, Name: "odd/closed/", Mode: 0}),
		file("odd/closed/inside", 0, "inside\n"),
		entry(&tar.Header{Typeflag: tar.TypeReg, Name: "odd/theirs", Mode: 0o640, Uid: 1234, Gid: 5678}),
		entry(&tar.Header{Typeflag: tar.TypeLink, Name: "odd/again", Linkname: "odd/setuid", Mode: 0o4755}),
		link("odd/dangling", "../../../nowhere"), link("odd/absolute", "/odd/theirs"),
		entry(&tar.Header{Typeflag: tar.TypeLink, Name: "odd/linked-link", Linkname: "odd/absolute", Mode: 0o777}),
		entry(&tar.Header{Typeflag: tar.TypeFifo, Name: "odd/fifo", Mode: 0o644}),
		entry(&tar.Header{Typeflag: tar.TypeChar, Name: "odd/null", Mode: 0o666, Devmajor: 1, Devminor: 3}),
		entry(&tar.Header{Typeflag: tar.TypeBlock, Name: "odd/disk", Mode: 0o660, Devmajor: 7, Devminor: 0}),
		entry(&tar.Header{Typeflag: tar.TypeReg, Name: "odd/capable", Mode: 0o755, PAXRecords: attributes("security.capability", fileCapability)}),
		entry(&tar.Header{Typeflag: tar.TypeReg, Name: "odd/noted", Mode: 0o644, PAXRecords: attributes("user.note", "a\x01b")}),
		file("odd/\xff\n name", 0o644, "bytes\n"), file("odd/"+strings.Repeat("n", longName), 0o644, "long\n"),
		file("odd/.wh", 0o644, "no whiteout\n"),
	}
}

// nodeModules are the reference server and what it needs.
func nodeModules() (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), setupTimeout)
	defer cancel()
	return packages.NPM(ctx, nodeServer+"@"+nodeServerVersion)
}
