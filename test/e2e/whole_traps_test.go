package e2e_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// The tests below name the trap that they prove closed. Their images are the
// probe and a shell, so that one can look around in the container.

// probed packs the probe with a shell and further contents, one layer each.
func (l *lab) probed(config v1.Config, further ...[]content) func() (v1.Image, error) {
	return sync.OnceValues(func() (v1.Image, error) {
		probe, err := l.probeProgram()
		if err != nil {
			return nil, err
		}
		tools, err := l.whole.tools()
		if err != nil {
			return nil, err
		}
		layers := make([]v1.Layer, 0, len(further)+1)
		for _, contents := range append([][]content{{busybox(tools), dir("app"), program("app/probe", probe)}}, further...) {
			layer, err := newLayer(contents...)
			if err != nil {
				return nil, err
			}
			layers = append(layers, layer)
		}
		if config.Entrypoint == nil {
			config.Entrypoint = []string{"/app/probe"}
		}
		config.Env = environ("")
		return stack(config, layers...)
	})
}

// asWhole adds what has the runner take the whole image.
func asWhole(s start) start {
	s.runner = rootfsTag
	s.env = append([]string{"RUNNER_MODE=rootfs"}, s.env...)
	return s
}

// sh runs a shell command in the container, as root.
func (c *container) sh(script string) string {
	c.t.Helper()
	return c.lab.must(c.t, "exec", "--user=0:0", c.id, "/bin/sh", "-c", script)
}

// want runs a shell command in the container and checks what it prints.
func (c *container) want(trap, script, want string) {
	c.t.Helper()
	if diff := cmp.Diff(want, c.sh(script)); diff != "" {
		c.t.Errorf("%s: %s differs (-want +got):\n%s", trap, script, diff)
	}
}

func TestTrap34TheRunnersOwnFilesAreNeverWritten(t *testing.T) {
	t.Parallel()
	l := openLab(t)
	const own = ".fastmcp-runner"
	img := l.probed(v1.Config{},
		[]content{
			file(own+"/fastmcp-runner", 0o755, "evil"), file(own+"/receipt", 0o644, "evil"),
			link("opt/way", "/"+own), file("opt/way/fastmcp-runner", 0o755, "evil"), file("opt/way/more", 0o644, "evil"),
			link("usr/up", "../../../"+own), file("usr/up/other", 0o644, "evil"),
		},
		[]content{
			file(".wh."+own, 0o644, ""), file("opt/way/.wh.fastmcp-runner", 0o644, ""), file("usr/up/.wh..wh..opq", 0o644, ""),
		},
		[]content{link(own, "/app"), file(own+"/evil", 0o755, "evil")},
	)
	for user, args := range asUser() {
		t.Run(user, func(t *testing.T) {
			t.Parallel()
			c := l.serve(t, "traps/own:1", img, asWhole(start{args: args}))
			c.waitReady()
			c.want("trap 34", "ls /"+own, "fastmcp-runner\nreceipt")
			c.want("trap 34", "/"+own+"/fastmcp-runner version >/dev/null && echo runs", "runs")
			c.stop()
			l.must(t, "start", c.id)
			c.waitReady()
		})
	}
}

func TestTheServerCannotPutAnotherProgramInTheRunnersPlace(t *testing.T) {
	t.Parallel()
	l := openLab(t)
	for user, args := range asUser() {
		t.Run(user, func(t *testing.T) {
			t.Parallel()
			c := l.serve(t, "traps/place:1", l.probed(v1.Config{}), asWhole(start{args: args}))
			c.waitReady()
			for _, script := range []string{
				"mv /.fastmcp-runner /tmp/old", "ln -f /app/probe /.fastmcp-runner/fastmcp-runner",
				"rm -f /.fastmcp-runner/fastmcp-runner", "echo >/.fastmcp-runner/fastmcp-runner",
			} {
				out, err := l.engine.docker(t.Context(), "exec", "--user=1000:1000", c.id, "/bin/busybox", "sh", "-c", script)
				if err == nil {
					t.Errorf("the server's user may do %q: %s", script, out)
				}
			}
		})
	}
}

func TestTrap35MountPointsStay(t *testing.T) {
	t.Parallel()
	l := openLab(t)
	img := l.probed(v1.Config{},
		[]content{
			dir("srv"), dir("srv/a b"), file("srv/a b/file", 0o644, "image's"), file("srv/beside", 0o644, "image's"),
			file("opt/outer/inner/file", 0o644, "image's"), file("opt/outer/file", 0o644, "image's"),
			file("etc/app.conf", 0o644, "image's"),
			link("var/run", "/run"), link("media", "/srv"),
		},
		[]content{
			file("srv/.wh.a b", 0o644, ""), file("opt/.wh..wh..opq", 0o644, ""), file("etc/.wh.app.conf", 0o644, ""),
		},
		[]content{file("opt", 0o644, "image's"), link("var/lib/deep", "/app"), link("var/lib", "/tmp")},
	)
	volumes := func(t *testing.T) (args []string) {
		t.Helper()
		for _, point := range []string{"/srv/a b", "/opt/outer", "/opt/outer/inner", "/var/lib/deep", "/media/disk"} {
			dir := t.TempDir()
			mine(t, filepath.Join(dir, "mine"))
			args = append(args, "--volume="+dir+":"+point)
		}
		conf := filepath.Join(t.TempDir(), "app.conf")
		mine(t, conf)
		return append(args, "--volume="+conf+":/etc/app.conf")
	}
	for user, args := range asUser() {
		t.Run(user, func(t *testing.T) {
			t.Parallel()
			c := l.serve(t, "traps/mounts:1", img, asWhole(start{args: append(volumes(t), args...)}))
			c.waitReady()
			c.want("trap 35", `cat "/srv/a b/mine" /opt/outer/mine /opt/outer/inner/mine /var/lib/deep/mine /media/disk/mine /etc/app.conf`,
				strings.Repeat("mine", 6))
			c.want("trap 35", `ls "/srv/a b" /opt /opt/outer /opt/outer/inner /var/lib/deep`,
				"/opt:\nouter\n\n/opt/outer:\ninner\nmine\n\n/opt/outer/inner:\nmine\n\n/srv/a b:\nmine\n\n/var/lib/deep:\nmine")
			c.want("trap 35", "cat /srv/beside", "image's")
		})
	}
}

// mine makes a file of this machine that everybody may read.
func mine(t *testing.T, name string) {
	t.Helper()
	if err := os.Chmod(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestTrap36WhatTheHostProvidesStays(t *testing.T) {
	t.Parallel()
	l := openLab(t)
	img := l.probed(v1.Config{},
		[]content{
			file("etc/resolv.conf", 0o644, "evil"), file("etc/hosts", 0o644, "evil"), file("etc/hostname", 0o644, "evil"),
			dir("run"), file("run/secrets/token", 0o644, "evil"), link("var/run", "/run"), file("proc/version", 0o644, "evil"),
			file("sys/kernel", 0o644, "evil"), file("dev/null", 0o644, "evil"),
		},
		[]content{file(".wh.run", 0o644, ""), file("etc/.wh..wh..opq", 0o644, ""), file("etc/passwd", 0o644, "app:x:4321:4321::/:\n")},
	)
	for user, args := range asUser() {
		t.Run(user, func(t *testing.T) {
			t.Parallel()
			secrets, account := t.TempDir(), t.TempDir()
			mine(t, filepath.Join(secrets, "token"))
			mine(t, filepath.Join(account, "token"))
			c := l.serve(t, "traps/host:1", img, asWhole(start{args: append([]string{
				"--volume=" + secrets + ":/run/secrets",
				"--volume=" + account + ":/var/run/secrets/kubernetes.io/serviceaccount:ro",
			}, args...)}))
			c.waitReady()
			c.want("trap 36", "cat /run/secrets/token /var/run/secrets/token /var/run/secrets/kubernetes.io/serviceaccount/token", strings.Repeat("mine", 3))
			if found := c.sh("cat /etc/resolv.conf /etc/hosts /etc/hostname /proc/version; ls -l /dev/null"); strings.Contains(found, "evil") {
				t.Errorf("trap 36: the image replaced what the host provides:\n%s", found)
			}
		})
	}
}

func TestTrap37AReadOnlyRootIsNamedAsTheCause(t *testing.T) {
	t.Parallel()
	l := openLab(t)
	for user, args := range asUser() {
		t.Run(user, func(t *testing.T) {
			t.Parallel()
			c := l.serve(t, "traps/readonly:1", l.probed(v1.Config{}), asWhole(start{args: append([]string{"--read-only"}, args...)}))
			if got := c.wait(); got != 125 {
				t.Errorf("trap 37: exit status %d, want 125", got)
			}
			wantLog(t, c, "read-only")
		})
	}
}

func TestTrap38NothingIsStagedElsewhere(t *testing.T) {
	t.Parallel()
	l := openLab(t)
	// The image has 12 MiB of programs: a copy of it would fit nowhere.
	c := l.serve(t, "traps/tight:1", l.greeter, asWhole(start{
		env: []string{"RUNNER_ROOT=/mnt"}, args: []string{"--read-only", "--tmpfs=/mnt:exec,size=16m,mode=755"},
	}))
	c.waitReady()
}

func TestTrap39ARestartPullsNothing(t *testing.T) {
	t.Parallel()
	l := openLab(t)
	img := l.probed(v1.Config{}, []content{file("usr/share/first", 0o644, "first"), file("data/notes", 0o644, "image's")})
	next := l.probed(v1.Config{}, []content{file("usr/share/second", 0o644, "second"), file("data/notes", 0o644, "next image's")})
	for user, args := range asUser() {
		t.Run(user, func(t *testing.T) {
			t.Parallel()
			path := "traps/again-as-root:1" // a tag of its own, because it moves
			if args != nil {
				path = "traps/again-as-user:1"
			}
			l.store.push(t, path, must(t, img))
			var again atomic.Bool
			layer := isLayer(t, must(t, img))
			f := &front{hold: func(r *http.Request) bool { return again.Load() && layer(r) }}
			f.open(t, l.store)
			c := l.run(t, asWhole(start{image: f.ref(path), args: args}))
			c.waitReady()
			c.sh("echo changed >/data/notes; echo more >/data/more")
			c.stop()

			again.Store(true)
			l.must(t, "start", c.id)
			c.waitReady() // it never would be, if it asked for a layer
			c.want("trap 39", "cat /usr/share/first /data/notes", "firstchanged")
			c.stop()

			again.Store(false)
			l.store.push(t, path, must(t, next))
			l.must(t, "start", c.id)
			c.waitReady()
			c.want("trap 39", "ls /usr/share; cat /data/notes /data/more", "second\nchanged\nmore")
		})
	}
}

func TestTrap39WhatWasHalfLaidIsLaidAnew(t *testing.T) {
	t.Parallel()
	l := openLab(t)
	build := l.probed(v1.Config{}, []content{file("usr/share/upper", 0o644, "upper")})
	img := must(t, build)
	l.store.push(t, "traps/half:1", img)
	for user, args := range asUser() {
		t.Run(user, func(t *testing.T) {
			t.Parallel()
			var open atomic.Bool
			upper := isUpperLayer(t, img)
			f := &front{hold: func(r *http.Request) bool { return !open.Load() && upper(r) }}
			f.open(t, l.store)
			c := l.run(t, asWhole(start{image: f.ref("traps/half:1"), args: args}))
			<-f.held
			l.must(t, "kill", "--signal=KILL", c.id)
			c.wait()

			open.Store(true)
			l.must(t, "start", c.id)
			c.waitReady()
			c.want("trap 39", "cat /usr/share/upper", "upper")
		})
	}
}

// isUpperLayer returns a test for requests that ask for the topmost layer.
func isUpperLayer(t *testing.T, img v1.Image) func(*http.Request) bool {
	t.Helper()
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	digest, err := layers[len(layers)-1].Digest()
	if err != nil {
		t.Fatal(err)
	}
	return func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/blobs/"+digest.String()) }
}

func TestTrap40ABareHostIsEnough(t *testing.T) {
	t.Parallel()
	l := openLab(t)
	for user, args := range asUser() {
		t.Run(user, func(t *testing.T) {
			t.Parallel()
			c := l.serve(t, "traps/bare:1", l.probed(v1.Config{}), asWhole(start{args: append([]string{
				"--tmpfs=/tmp:size=4k", "--ipc=none", "--pids-limit=32", "--env=HOME=/nowhere",
			}, args...)}))
			c.waitReady()
		})
	}
}

func TestTrap52TheImagesOwnEntrypointRuns(t *testing.T) {
	t.Parallel()
	l := openLab(t)
	for _, name := range []string{"entrypoint.sh", "start.sh", "init.sh", "docker-entrypoint.sh"} {
		script := "#!/bin/sh\nMARK=" + name + " exec /app/probe \"$@\"\n"
		img := l.probed(v1.Config{Entrypoint: []string{"/" + name}}, []content{file(name, 0o755, script)})
		for user, args := range asUser() {
			t.Run(name+" "+user, func(t *testing.T) {
				t.Parallel()
				c := l.serve(t, "traps/"+name+":1", img, asWhole(start{args: args}))
				c.waitReady()
				if got := variable(c.facts().Environ, "MARK"); got != name {
					t.Errorf("trap 52: the script did not run: MARK is %q", got)
				}
			})
		}
	}
}

// environs returns what all processes of the container were started with, as
// root of this machine sees it. A shell in the container would see its own.
func (c *container) environs() string {
	c.t.Helper()
	var all strings.Builder
	for _, line := range strings.Split(c.lab.must(c.t, "top", c.id, "-o", "pid"), "\n")[1:] {
		environ, err := os.ReadFile("/proc/" + strings.TrimSpace(line) + "/environ")
		if err != nil && !errors.Is(err, os.ErrNotExist) { // one that just ended
			c.t.Fatal(err)
		}
		all.Write(environ)
	}
	return all.String()
}

// waitReaped waits until no zombie is left.
func (c *container) waitReaped() {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), answerTimeout)
	defer cancel()
	err := poll(ctx, func(context.Context) error {
		states := c.lab.must(c.t, "top", c.id, "-o", "pid,stat,args")
		if strings.Contains(states, "Z") || strings.Contains(states, "sleep") {
			return errors.New(states)
		}
		return nil
	})
	if err != nil {
		c.t.Errorf("trap 57: a zombie stays: %v", err)
	}
}

func TestTrap57Init(t *testing.T) {
	t.Parallel()
	const secret = "correct-horse-battery-staple"
	l := openLab(t)
	// The inner shell ends before its child does, which is an orphan then.
	const script = "#!/bin/sh\n(/bin/busybox sleep 1 &)\nexec /app/probe\n"
	img := l.probed(v1.Config{Entrypoint: []string{"/run.sh"}, StopSignal: "SIGHUP", User: "app"},
		[]content{file("run.sh", 0o755, script)})
	for user, args := range asUser() {
		t.Run(user, func(t *testing.T) {
			t.Parallel()
			c := l.serve(t, "traps/init:1", img, asWhole(start{
				env: []string{"RUNNER_INIT=on", "REGISTRY_USER=me", "REGISTRY_PASSWORD=" + secret}, args: args,
			}))
			c.waitReady()
			f := c.facts()
			if f.Status["Pid"] == "1" || f.Status["PPid"] == "0" {
				t.Error("trap 57: the server is PID 1 itself")
			}
			if f.Status["Uid"] != "4321 4321 4321 4321" {
				t.Errorf("the server's ids are %s, want the image's 4321", f.Status["Uid"])
			}
			if environ := c.environs(); strings.Contains(environ, secret) || !strings.Contains(environ, "PORT=") {
				t.Errorf("trap 57: the environments of the processes are %q", environ)
			}
			c.waitReaped()
			c.stop()
			// SIGTERM would have the probe end with a status of its own.
			if got := c.wait(); got != 129 {
				t.Errorf("trap 57: exit status %d, want 129: the StopSignal is SIGHUP", got)
			}
		})
	}
}
