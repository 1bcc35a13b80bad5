package e2e_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// must returns the image that build makes.
func must(t *testing.T, build func() (v1.Image, error)) v1.Image {
	t.Helper()
	img, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// serve pushes an image under path and starts the runner on it.
func (l *lab) serve(t *testing.T, path string, build func() (v1.Image, error), s start) *container {
	t.Helper()
	l.store.push(t, path, must(t, build))
	f := &front{}
	f.open(t, l.store)
	s.image = f.ref(path)
	return l.run(t, s)
}

// wantLog checks that the log says all of words.
func wantLog(t *testing.T, c *container, words ...string) {
	t.Helper()
	log := c.logs()
	for _, word := range words {
		if !strings.Contains(log, word) {
			t.Errorf("the log does not say %q", word)
		}
	}
}

func TestTheImageIsWhatTheDockerfileSays(t *testing.T) {
	t.Parallel()
	l := openLab(t)
	var config struct {
		User, WorkingDir string
		Entrypoint, Cmd  []string
		Labels           map[string]string
		Healthcheck      struct{ Test []string }
	}
	out := l.must(t, "image", "inspect", "--format", "{{json .Config}}", runnerTag)
	if err := json.Unmarshal([]byte(out), &config); err != nil {
		t.Fatal(err)
	}
	if config.User != "0" || config.WorkingDir != "/app" || config.Cmd != nil {
		t.Errorf("user %q, directory %q, command %q; want root, /app and none", config.User, config.WorkingDir, config.Cmd)
	}
	if diff := cmp.Diff([]string{"/usr/bin/fastmcp-runner"}, config.Entrypoint); diff != "" {
		t.Errorf("the entrypoint differs (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"CMD", "/usr/bin/fastmcp-runner", "healthcheck"}, config.Healthcheck.Test); diff != "" {
		t.Errorf("the health check differs (-want +got):\n%s", diff)
	}
	for _, label := range []string{"title", "description", "source", "documentation", "licenses"} {
		if config.Labels["org.opencontainers.image."+label] == "" {
			t.Errorf("the label org.opencontainers.image.%s is missing", label)
		}
	}
}

func TestTheImageHasAnAccountForTheServer(t *testing.T) {
	t.Parallel()
	l := openLab(t)
	script := `id -un 1000 && id -g 1000 && getent passwd 1000 | cut -d: -f6 &&
		for dir in /app /data /home/user; do stat -c '%u:%g %n' $dir; done`
	got := l.must(t, "run", "--rm", "--network=none", "--entrypoint=sh", runnerTag, "-c", script)
	want := "user\n1000\n/home/user\n1000:1000 /app\n1000:1000 /data\n1000:1000 /home/user"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the account differs (-want +got):\n%s", diff)
	}
}

func TestTheSpaceNamesOnePort(t *testing.T) {
	t.Parallel()
	port := find(t, "deploy/huggingface/Dockerfile", `(?m)^ENV PORT=(\d+)$`)
	if got := find(t, "deploy/huggingface/README.md", `(?m)^app_port: (\d+)$`); got != port {
		t.Errorf("the Space's app_port is %s, but the server listens on %s", got, port)
	}
}
