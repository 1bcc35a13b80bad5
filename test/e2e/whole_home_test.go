package e2e_test

import (
	"archive/tar"
	"io"
	"path"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// TestTrap56TheServerOfAWholeImageHasAHome starts a program that lies in the
// home of the image's user, where nobody else may go, and that writes there.
func TestTrap56TheServerOfAWholeImageHasAHome(t *testing.T) {
	t.Parallel()
	l := openLab(t)
	const script = "#!/bin/sh\nset -e\n/bin/busybox mkdir -p \"$HOME/.cache/uv\"\necho new >\"$HOME/.cache/uv/new\"\n" +
		"echo \"the home is $HOME, $(cat \"$HOME/.cache/uv/old\")\"\n"
	for _, image := range []struct {
		user string
		uid  int
		home string
	}{{"", 0, "/root"}, {"app", 4321, "/home/app"}} {
		theirs := func(name string, mode int64, body string) content {
			hdr := &tar.Header{Typeflag: tar.TypeReg, Name: path.Join(image.home, name)[1:], Mode: mode, Size: int64(len(body)), Uid: image.uid, Gid: image.uid}
			if body == "" {
				hdr.Typeflag, hdr.Name = tar.TypeDir, hdr.Name+"/"
			}
			return func(w *tar.Writer) error {
				if err := w.WriteHeader(hdr); err != nil {
					return err
				}
				_, err := io.WriteString(w, body)
				return err
			}
		}
		img := l.probed(v1.Config{User: image.user, Entrypoint: []string{image.home + "/.local/bin/start"}},
			[]content{theirs("", 0o700, ""), theirs(".local", 0o700, ""), theirs(".local/bin", 0o700, ""), theirs(".local/bin/start", 0o700, script)},
			[]content{theirs(".cache", 0o700, ""), theirs(".cache/uv", 0o700, ""), theirs(".cache/uv/old", 0o600, "the image's")})
		for _, h := range hosts() {
			if h.refusal != "" {
				continue
			}
			t.Run(h.name+": "+image.home, func(t *testing.T) {
				t.Parallel()
				c := l.serve(t, "traps/home"+image.user+":1", img,
					start{runner: h.runner, args: h.args, env: append([]string{"RUNNER_MODE=rootfs"}, h.env...)})
				if got := c.wait(); got != 0 {
					t.Fatalf("trap 56: exit status %d, want 0:\n%s", got, c.logs())
				}
				l.must(t, "start", c.id)
				if got := c.wait(); got != 0 {
					t.Fatalf("trap 56: exit status %d of a restart, want 0:\n%s", got, c.logs())
				}
				wantLog(t, c, "the home is "+image.home+", the image's")
			})
		}
	}
}
