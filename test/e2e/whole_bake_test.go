package e2e_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// TestABakedImageIsFoundByAStart builds an image as docs/rootfs.md has it: the
// server's image is laid while the Space's is built.
func TestABakedImageIsFoundByAStart(t *testing.T) {
	t.Parallel()
	const tag = "fastmcp-runner-baked:test"
	l := openLab(t)
	build := l.probed(v1.Config{Entrypoint: []string{"/entrypoint.sh"}},
		[]content{file("entrypoint.sh", 0o755, "#!/bin/sh\nexec /app/probe\n"), file("data/notes", 0o644, "image's")})
	img := must(t, build)
	l.store.push(t, "bake/probe:1", img)
	var baked atomic.Bool
	layer := isLayer(t, img)
	f := &front{user: "reader", password: "pass", hold: func(r *http.Request) bool { return baked.Load() && layer(r) }}
	f.open(t, l.store)
	here := t.TempDir()
	for name, body := range map[string]string{"REGISTRY_USER": "reader", "REGISTRY_PASSWORD": "pass", "Dockerfile": bakefile(f.ref("bake/probe:1"))} {
		if err := os.WriteFile(filepath.Join(here, name), []byte(body), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	l.must(t, "build", "--quiet", "--network=host", "--tag", tag, here)
	t.Cleanup(func() { l.cleanUp(t, "rmi", "--force", tag) })
	baked.Store(true)

	bare := []string{"--user=1000:1000", "--cap-drop=ALL", "--security-opt=no-new-privileges"}
	hosts := asUser()
	hosts["as UID 1000 without capabilities"] = bare
	for user, args := range hosts {
		t.Run(user, func(t *testing.T) {
			t.Parallel()
			c := l.run(t, start{
				runner: tag, image: f.ref("bake/probe:1"), args: args,
				env: []string{"REGISTRY_USER=reader", "REGISTRY_PASSWORD=pass"},
			})
			c.waitReady() // it never would be, if it asked for a layer
			if got := c.exec("/bin/sh", "-c", "cat /data/notes; echo new >/data/notes && cat /data/notes; touch /app/new && echo writable"); got != "image'snew\nwritable" {
				t.Errorf("the server finds %q", got)
			}
			if uid := strings.Fields(c.facts().Status["Uid"])[0]; uid != "1000" {
				t.Errorf("the server runs as %s, want 1000", uid)
			}
		})
	}
}

// bakefile is the Dockerfile of docs/rootfs.md for the classic builder, which
// mounts no secrets: they are copied to where they would be.
func bakefile(ref string) string {
	return fmt.Sprintf(`FROM %s
COPY REGISTRY_USER REGISTRY_PASSWORD /run/secrets/
ARG REGISTRY_USER_FILE=/run/secrets/REGISTRY_USER
ARG REGISTRY_PASSWORD_FILE=/run/secrets/REGISTRY_PASSWORD
RUN ["/.fastmcp-runner/fastmcp-runner", "pull", %q]
`, rootfsTag, ref)
}

// TestTheRootfsFlavour holds the image against what is promised of it.
func TestTheRootfsFlavour(t *testing.T) {
	t.Parallel()
	const most = 15 << 20
	l := openLab(t)
	size := l.must(t, "image", "inspect", "--format", "{{.Size}}", rootfsTag)
	var bytes int64
	if _, err := fmt.Sscan(size, &bytes); err != nil {
		t.Fatal(err)
	}
	if bytes > most {
		t.Errorf("the image has %d bytes, want at most %d", bytes, most)
	}
	tree := l.exported(t, l.create(t, rootfsTag))
	const program = ".fastmcp-runner/fastmcp-runner"
	if facts := tree[program]; !strings.Contains(facts, "security.capability") || !strings.HasPrefix(facts, "0 0755 0:0") {
		t.Errorf("/%s is %s, want root's with capabilities", program, facts)
	}
	for p, facts := range tree {
		if facts[0] == '0' && p != program && !strings.HasPrefix(p, "etc/") && !strings.HasPrefix(p, "dev/") && p != ".dockerenv" {
			t.Errorf("there is another file: %s", p)
		}
	}
}
