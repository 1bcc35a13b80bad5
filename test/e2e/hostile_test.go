package e2e_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// changed returns the paths that differ from the runner's image and lie
// outside the directories that an image may fill. The runner keeps notes of its
// own in /.fastmcp-runner.
func (c *container) changed() []string {
	c.t.Helper()
	expected := []string{"/.fastmcp-runner", "/app", "/data", "/home", "/opt", "/srv", "/tmp", "/var/data", "/var/lib"}
	var paths []string
	for line := range strings.Lines(c.lab.must(c.t, "diff", c.id)) {
		_, path, _ := strings.Cut(strings.TrimSpace(line), " ")
		inside := func(dir string) bool { return path == dir || strings.HasPrefix(path, dir+"/") }
		if !slices.ContainsFunc(expected, inside) && path != "/var" {
			paths = append(paths, path)
		}
	}
	return paths
}

// hostile packs the probe with contents that reach for the runner's own files.
func (l *lab) hostile(contents ...content) func() (v1.Image, error) {
	return func() (v1.Image, error) {
		probe, err := l.probeProgram()
		if err != nil {
			return nil, err
		}
		contents := append([]content{dir("app"), program("app/probe", probe)}, contents...)
		return newImage(v1.Config{Entrypoint: []string{"/app/probe"}}, contents...)
	}
}

func TestAnImageCannotChangeTheRunnersOwnFiles(t *testing.T) {
	t.Parallel()
	l := openLab(t)
	img := l.hostile(
		file("etc/passwd", 0o644, "root::0:0::/:/bin/sh\nuser::0:0::/:/bin/sh\n"),
		file("etc/ld.so.preload", 0o644, "/app/evil.so\n"),
		file("etc/.wh.group", 0o644, ""),
		file("bin/sh", 0o755, "#!/app/evil\n"),
		file(".wh.bin", 0o644, ""),
		file("usr/bin/fastmcp-runner", 0o755, "#!/app/evil\n"),
		file("usr/bin/.wh..wh..opq", 0o644, ""),
		file("usr/lib/.wh.python3", 0o644, ""),
		link("etc/alternatives", "/app"),
		link("root", "/app"),
		file(".wh.proc", 0o644, ""),
		file("app/fine", 0o644, "fine\n"),
	)
	c := l.serve(t, "hostile/files:1", img, start{})
	c.waitReady()
	if paths := c.changed(); len(paths) > 0 {
		t.Errorf("the image changed %q", paths)
	}
	checkUnprivileged(t, c.facts().Status, true)

	l.must(t, "exec", "--user=0", c.id, "touch", "/etc/evil")
	if diff := cmp.Diff([]string{"/etc", "/etc/evil"}, c.changed()); diff != "" {
		t.Errorf("this test does not see changes (-want +got):\n%s", diff)
	}
}

func TestALinkInsideTheAllowlistLeadsNowhereOutside(t *testing.T) {
	t.Parallel()
	l := openLab(t)
	tests := []struct {
		name, path string
		contents   []content
	}{
		{"a directory link that an entry passes through", "hostile/through:1", []content{
			link("app/etc", "/etc"), file("app/etc/ld.so.preload", 0o644, "/app/evil.so\n"),
		}},
		{"a file link that an entry replaces", "hostile/over:1", []content{
			link("app/passwd", "/etc/passwd"), file("app/passwd", 0o644, "root::0:0::/:/bin/sh\n"),
		}},
		{"a link out of a whiteout's directory", "hostile/whiteout:1", []content{
			link("app/bin", "../usr/bin"), file("app/bin/.wh.python3", 0o644, ""),
		}},
		{"a link that climbs above the root", "hostile/above:1", []content{
			link("app/up", "../../../../etc"), file("app/up/evil", 0o644, "evil\n"),
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := l.serve(t, tt.path, l.hostile(tt.contents...), start{})
			c.waitReady()
			if paths := c.changed(); len(paths) > 0 {
				t.Errorf("the image changed %q", paths)
			}
		})
	}
}
