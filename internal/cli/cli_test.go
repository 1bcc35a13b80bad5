package cli_test

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/drengskapur/fastmcp-runner/internal/cli"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"fastmcp-runner": func() {
			os.Exit(cli.Main(cli.Process{
				Args: os.Args[1:], Environ: os.Environ(), Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Version: "test",
			}))
		},
	})
}

// TestScripts runs the program as its users do. A script has the variables
// REGISTRY (a registry of its own, because scripts run at once and push under
// the same names), SITE (a web site, which is no registry but for what is "busy")
// and ROOT (an empty directory that plays the container's root),
// the command "exits", and "image NAME DIR", which pushes an image of the files
// in DIR/root with the config DIR/config.json. Its /app/show prints how it was
// started.
func TestScripts(t *testing.T) {
	t.Parallel()
	show := buildShow(t)
	testscript.Run(t, testscript.Params{
		Dir:       "testdata/script",
		Condition: condition,
		Setup: func(env *testscript.Env) error {
			server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
			env.Defer(server.Close)
			site := httptest.NewServer(http.HandlerFunc(serveSite))
			env.Defer(site.Close)
			root := filepath.Join(env.WorkDir, "ROOT")
			env.Vars = append(env.Vars, "REGISTRY="+strings.TrimPrefix(server.URL, "http://"),
				"SITE="+strings.TrimPrefix(site.URL, "http://"), "ROOT="+root)
			return makeRoot(root)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"image": func(ts *testscript.TestScript, _ bool, args []string) {
				if len(args) != 2 {
					ts.Fatalf("usage: image NAME DIR")
				}
				ts.Check(pushImage(ts.Getenv("REGISTRY")+"/"+args[0], ts.MkAbs(args[1]), show))
			},
			"exits": exits,
		},
	})
}

// serveSite answers with a page, or that it is busy and may be asked again at once.
func serveSite(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/v2/busy/") {
		w.Header().Set("Retry-After", "0")
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	_, _ = io.WriteString(w, "<!DOCTYPE html><title>Welcome</title>")
}

// condition knows "root".
func condition(name string) (bool, error) {
	if name != "root" {
		return false, fmt.Errorf("unknown condition %q", name)
	}
	return os.Geteuid() == 0, nil
}

// exits is the command "exits CODE PROGRAM ARG...".
func exits(ts *testscript.TestScript, _ bool, args []string) {
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		code = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if want := args[0]; strconv.Itoa(code) != want {
		ts.Fatalf("%s exited with %d, want %s", args[1], code, want)
	}
}

// makeRoot makes a root that a user other than root can enter.
func makeRoot(root string) error {
	for dir := root; dir != "/" && dir != os.TempDir(); dir = filepath.Dir(dir) {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		if err := os.Chmod(dir, 0o755); err != nil {
			return err
		}
	}
	return nil
}

// buildShow compiles the tests' server. It is static, because the root has no
// interpreter.
func buildShow(t *testing.T) []byte {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "show")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", bin, "./testdata/show")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("cannot build the tests' server: %v\n%s", err, out)
	}
	content, err := os.ReadFile(bin)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func pushImage(ref, dir string, show []byte) error {
	layer, err := packLayer(filepath.Join(dir, "root"), show)
	if err != nil {
		return err
	}
	img, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		return err
	}
	if img, err = configure(img, filepath.Join(dir, "config.json")); err != nil {
		return err
	}
	tag, err := name.ParseReference(ref)
	if err != nil {
		return err
	}
	return remote.Write(tag, img)
}

// configure gives img the config section in the file, for this platform.
func configure(img v1.Image, name string) (v1.Image, error) {
	content, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	file, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	file = file.DeepCopy()
	file.OS, file.Architecture = "linux", runtime.GOARCH
	if err := json.Unmarshal(content, &file.Config); err != nil {
		return nil, err
	}
	return mutate.ConfigFile(img, file)
}

// packLayer makes a layer of the program at app/show and the files below root.
func packLayer(root string, show []byte) (v1.Layer, error) {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	add := func(name string, mode int64, content []byte) error {
		if err := w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: mode, Size: int64(len(content))}); err != nil {
			return err
		}
		_, err := w.Write(content)
		return err
	}
	if err := add("app/show", 0o755, show); err != nil {
		return nil, err
	}
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if os.IsNotExist(err) {
			return nil
		}
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		return add(rel, 0o755, content)
	})
	if err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	blob := buf.Bytes()
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(blob)), nil })
	if err != nil {
		return nil, fmt.Errorf("cannot make a layer: %w", err)
	}
	return layer, nil
}
