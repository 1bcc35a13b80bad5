package e2e_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// prompt is how long an engine may have to wait for an end that it asked for.
// It would kill after 10 seconds.
const prompt = 3 * time.Second

// termStatus is the probe's exit status after SIGTERM.
const termStatus = 43

// stop stops the container and checks that it took no more than prompt.
func (c *container) stop() {
	c.t.Helper()
	begin := time.Now()
	c.lab.must(c.t, "stop", c.id)
	if took := time.Since(begin); took > prompt {
		c.t.Errorf("docker stop took %s, want at most %s", took, prompt)
	}
}

func TestSIGTERMReachesTheServer(t *testing.T) {
	t.Parallel()
	l := openLab(t)
	for user, args := range asUser() {
		t.Run(user, func(t *testing.T) {
			t.Parallel()
			c := l.serve(t, "stop/probe:1", l.probe, start{args: args})
			c.waitReady()
			c.stop()
			if got := c.wait(); got != termStatus {
				t.Errorf("exit status %d, want the %d that the server chose", got, termStatus)
			}
		})
	}
}

func TestTheServersExitStatusIsTheContainers(t *testing.T) {
	t.Parallel()
	l := openLab(t)
	c := l.serve(t, "exit/probe:1", l.probe, start{env: []string{`RUNNER_CMD=["exit","42"]`}})
	if got := c.wait(); got != 42 {
		t.Errorf("exit status %d, want 42", got)
	}
}

func TestSIGTERMDuringThePullEndsTheRunner(t *testing.T) {
	t.Parallel()
	l := openLab(t)
	img := must(t, l.probe)
	l.store.push(t, "slow/probe:1", img)
	f := &front{hold: isLayer(t, img)}
	f.open(t, l.store)
	c := l.run(t, start{image: f.ref("slow/probe:1")})
	select {
	case <-f.held:
	case <-time.After(answerTimeout):
		t.Fatal("no layer was asked for")
	}
	c.stop()
	if got := c.wait(); got != 143 {
		t.Errorf("trap 58: exit status %d, want 143", got)
	}
}

func TestTheHealthCheckTellsAServerThatAnswersFromOneThatDoesNot(t *testing.T) {
	t.Parallel()
	l := openLab(t)
	// A start period of 0 would mean the image's own.
	quick := []string{"--health-interval=250ms", "--health-start-period=1ms", "--health-retries=1"}
	tests := []struct {
		name, runner, path, want string
	}{
		{"the server answers", runnerTag, "/health", "healthy"},
		{"the server has no such path", runnerTag, "/none", "unhealthy"},
		{"the server answers in the rootfs flavour", rootfsTag, "/health", "healthy"},
		{"the server has no such path in the rootfs flavour", rootfsTag, "/none", "unhealthy"},
	}
	for _, tt := range tests {
		for user, args := range asUser() {
			t.Run(tt.name+" "+user, func(t *testing.T) {
				t.Parallel()
				c := l.serve(t, "health/probe:1", l.probe, start{
					runner: tt.runner, env: []string{"HEALTHCHECK_PATH=" + tt.path}, args: slices.Concat(quick, args),
				})
				c.waitReady()
				c.waitHealth(tt.want)
			})
		}
	}
}

// waitHealth waits until the engine holds the container for what is wanted.
func (c *container) waitHealth(want string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), answerTimeout)
	defer cancel()
	err := poll(ctx, func(context.Context) error {
		if got := c.inspect("{{.State.Health.Status}}"); got != want {
			return errors.New("it is " + got)
		}
		return nil
	})
	if err != nil {
		c.t.Errorf("the container never gets %s: %v\n%s", want, err, c.inspect("{{json .State.Health}}"))
	}
}

func TestAContainerThatIsStartedAgainServesAgainWithoutAPull(t *testing.T) {
	t.Parallel()
	l := openLab(t)
	img := must(t, l.probe)
	l.store.push(t, "again/probe:1", img)
	for user, args := range asUser() {
		t.Run(user, func(t *testing.T) {
			t.Parallel()
			var again atomic.Bool
			layer := isLayer(t, img)
			f := &front{hold: func(r *http.Request) bool { return again.Load() && layer(r) }}
			f.open(t, l.store)
			c := l.run(t, start{image: f.ref("again/probe:1"), args: args})
			c.waitReady()
			c.exec("sh", "-c", "echo changed >/data/notes && echo new >/data/more")
			c.stop()

			again.Store(true)
			l.must(t, "start", c.id)
			c.waitReady() // trap 39: it never would be, if it asked for a layer
			checkUnprivileged(t, c.facts().Status, args == nil)
			if got := c.exec("cat", "/data/notes", "/data/more"); got != "changed\nnew" {
				t.Errorf("after the restart /data holds %q, want what the user wrote", got)
			}
		})
	}
}

func TestAGracefulServerIsLeftToEndItsSessions(t *testing.T) {
	t.Parallel()
	l := openLab(t)
	c := l.serve(t, "graceful/greeter:1", l.greeter, start{})
	c.waitReady()
	client := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1.0.0"}, nil)
	if _, err := client.Connect(t.Context(), c.streamable(), &mcp.ClientSessionOptions{ProtocolVersion: "2025-11-25"}); err != nil {
		t.Fatal(err)
	}
	c.stop()
	if got := c.wait(); got != 0 {
		t.Errorf("exit status %d, want 0: the server ended by itself", got)
	}
}

func TestAUserWhoMayNotWriteGetsOneErrorThatNamesTheDirectories(t *testing.T) {
	t.Parallel()
	l := openLab(t)
	c := l.serve(t, "readonly/probe:1", l.probe, start{args: []string{"--user=4242:4242"}})
	if got := c.wait(); got != 125 {
		t.Errorf("exit status %d, want 125", got)
	}
	wantLog(t, c, "/app", "/data", "4242")
}
