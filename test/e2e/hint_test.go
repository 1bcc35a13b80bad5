package e2e_test

import (
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// TestAHintLeadsToAStart follows the hints of one image until it runs: none of
// them proposes what the next host refuses.
func TestAHintLeadsToAStart(t *testing.T) {
	t.Parallel()
	l := openLab(t)
	const rootfs = "take the whole image by the line FROM ghcr.io/drengskapur/fastmcp-runner:rootfs in this container's Dockerfile"
	borrows := func() (v1.Image, error) {
		return newImage(v1.Config{Cmd: []string{"/app/server"}, Env: environ("")}, dir("app"), file("app/server", 0o755, "#!/usr/bin/python3\nraise SystemExit(7)\n"))
	}
	user, whole := []string{"--user=1000"}, []string{"RUNNER_MODE=rootfs"}
	for _, tt := range []struct {
		name  string
		path  string
		build func() (v1.Image, error)
		start start
		code  int
		log   string
	}{
		{"usual flavour, UID 1000", "whole/alpine:1", l.whole.alpine, start{args: user}, 127, rootfs},
		{"usual flavour, UID 1000, whole", "whole/alpine:1", l.whole.alpine, start{args: user, env: whole}, 125, rootfs},
		{"usual flavour, root", "whole/alpine:1", l.whole.alpine, start{}, 127, "take the whole image by RUNNER_MODE=rootfs"},
		{"rootfs flavour, UID 1000", "whole/alpine:1", l.whole.alpine, start{runner: rootfsTag, args: user}, 0, ""},
		{
			"rootfs flavour, an image for the other", "hint/borrows:1", borrows,
			start{runner: rootfsTag, args: user},
			126,
			"for one that is built for the runner's, the line FROM ghcr.io/drengskapur/fastmcp-runner:latest",
		},
		{"the other, for which it is", "hint/borrows:1", borrows, start{args: user}, 7, ""},
		{
			"gVisor, UID 1000", "whole/gosu:1", l.whole.gosu,
			start{runner: rootfsTag, args: append([]string{onGVisor}, user...)},
			125,
			"start the container as root, or lay the image when the container's own is built",
		},
		{"gVisor, root", "whole/gosu:1", l.whole.gosu, start{runner: rootfsTag, args: []string{onGVisor}}, 0, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := l.serve(t, tt.path, tt.build, tt.start)
			if tt.code == 0 {
				c.waitReady()
				return
			}
			if got := c.wait(); got != tt.code {
				t.Errorf("exit status %d, want %d", got, tt.code)
			}
			wantLog(t, c, tt.log)
		})
	}
}
