package e2e_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/drengskapur/fastmcp-runner/test/packages"
)

const (
	// nodeServer is the reference server of the MCP project.
	nodeServer        = "@modelcontextprotocol/server-everything"
	nodeServerVersion = "2026.8.31"

	fastmcpDir = "testdata/fastmcp"

	// imagesNotes is what the probe's image has in /data/notes.
	imagesNotes = "the image's notes"
)

// buildStatic builds one of our own programs for an image.
func (l *lab) buildStatic(name, pkg string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), setupTimeout)
	defer cancel()
	path := filepath.Join(l.dir, "programs", name)
	return path, buildProgram(ctx, path, pkg)
}

// buildGreeter packs the static server of examples/greeter.
func (l *lab) buildGreeter() (v1.Image, error) {
	greeter, err := l.greeterProgram()
	if err != nil {
		return nil, err
	}
	return newImage(v1.Config{
		Entrypoint:   []string{"/app/greeter"},
		Env:          environ(""),
		ExposedPorts: map[string]struct{}{"8000/tcp": {}},
		WorkingDir:   "/app",
	}, dir("app"), program("app/greeter", greeter))
}

// buildProbe packs the probe, with data of its own and a working directory
// other than the usual one.
func (l *lab) buildProbe() (v1.Image, error) {
	probe, err := l.probeProgram()
	if err != nil {
		return nil, err
	}
	return newImage(v1.Config{
		Entrypoint: []string{"/app/probe"},
		Env:        environ("", "FROM_IMAGE=image", "BOTH=image"),
		WorkingDir: "/srv/work",
		User:       "0:0",
	},
		dir("app"), program("app/probe", probe),
		dir("srv"), dir("srv/work"),
		dir("data"), file("data/notes", 0o644, imagesNotes))
}

// buildSpy packs the spy alone.
func (l *lab) buildSpy() (v1.Image, error) {
	spy, err := l.spyProgram()
	if err != nil {
		return nil, err
	}
	return newImage(v1.Config{Entrypoint: []string{"/app/spy"}, Env: environ("")}, dir("app"), program("app/spy", spy))
}

// buildSitePackages packs a FastMCP server as `pip install` in an image based
// on python:3 lays it down.
func (l *lab) buildSitePackages() (v1.Image, error) {
	py, err := l.python()
	if err != nil {
		return nil, err
	}
	return newImage(v1.Config{
		Cmd:        []string{"python3", "/app/server.py"},
		Env:        pythonEnviron("", py.version),
		WorkingDir: "/app",
	},
		dir("var/lib/dpkg"), file("var/lib/dpkg/status", 0o644, "Package: base-files\n"),
		tree("usr/local/lib/python"+py.version+"/site-packages", py.packages),
		dir("app"), tree("app", fastmcpDir))
}

// buildVenv packs the same server with a virtual environment as uv makes it in
// an image based on python:3: the interpreter itself lies outside.
func (l *lab) buildVenv() (v1.Image, error) {
	py, err := l.python()
	if err != nil {
		return nil, err
	}
	config := "home = /usr/local/bin\ninclude-system-site-packages = false\nversion = " + py.version + "\n"
	return newImage(v1.Config{
		Cmd:        []string{"/app/.venv/bin/python", "/app/server.py"},
		Env:        pythonEnviron("/app/.venv/bin", py.version),
		WorkingDir: "/app",
	},
		dir("app"), tree("app", fastmcpDir),
		dir("app/.venv"), file("app/.venv/pyvenv.cfg", 0o644, config),
		dir("app/.venv/bin"),
		link("app/.venv/bin/python", "python3"),
		link("app/.venv/bin/python3", "/usr/local/bin/python"+py.version),
		tree("app/.venv/lib/python"+py.version+"/site-packages", py.packages))
}

// pythonEnviron is the environment of images based on python:3.
func pythonEnviron(searchPath, version string) []string {
	return environ(searchPath, "LANG=C.UTF-8", "PYTHON_VERSION="+version, "FASTMCP_CHECK_FOR_UPDATES=off")
}

// python is what a FastMCP server needs of an image.
type python struct {
	version  string // of the base, such as 3.11
	packages string // the directory of the packages
}

// installPython asks the base for its Python, and PyPI for packages that fit.
func (l *lab) installPython() (python, error) {
	ctx, cancel := context.WithTimeout(context.Background(), setupTimeout)
	defer cancel()
	version, err := l.engine.docker(ctx, "run", "--rm", "--network=none", "--entrypoint=python3", runnerTag,
		"-c", "import sys; print('%d.%d' % sys.version_info[:2])")
	if err != nil {
		return python{}, err
	}
	requirements, err := os.ReadFile(filepath.Join(fastmcpDir, "requirements.txt"))
	if err != nil {
		return python{}, err
	}
	dir, err := packages.PyPIFor(ctx, version, strings.Fields(string(requirements))...)
	return python{version: version, packages: dir}, err
}

// buildNode packs a server that needs Node, which the base does not have.
func (l *lab) buildNode() (v1.Image, error) {
	modules, err := nodeModules()
	if err != nil {
		return nil, err
	}
	return newImage(v1.Config{
		Cmd:        []string{"node", "dist/index.js", "streamableHttp"},
		Env:        environ("", "NODE_VERSION=22.20.0"),
		WorkingDir: "/app/node_modules/" + nodeServer,
	}, dir("app"), tree("app", modules))
}

// lastLines returns the end of a text, for failures.
func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
