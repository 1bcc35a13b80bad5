package launch_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/drengskapur/fastmcp-runner/internal/hint"
	"github.com/drengskapur/fastmcp-runner/internal/ids"
	"github.com/drengskapur/fastmcp-runner/internal/launch"
)

// settings are those of an operator who set nothing but IMAGE and PORT.
func settings() launch.Settings {
	return launch.Settings{
		Allowlist: true,
		Port:      7860, Host: "0.0.0.0", Transport: "streamable-http", Path: "/mcp",
		User: ids.User{UID: 1000, GID: 1000}, Home: "/home/user",
	}
}

func TestNewPlansAWholeLaunch(t *testing.T) {
	t.Parallel()
	img := launch.Image{
		Env:          []string{"PATH=/app/.venv/bin:/usr/bin", "PYTHONUNBUFFERED=1"},
		WorkingDir:   "/srv/mcp",
		Entrypoint:   []string{"python", "-m"},
		Cmd:          []string{"server"},
		ExposedPorts: []string{"7860/tcp"},
	}
	set := settings()
	set.Environ = []string{"HOME=/root", "PATH=/bin", "SPACE_ID=acme/mcp"}
	set.Passthrough = []string{"API_KEY=s3cret"}
	want := launch.Plan{
		Argv: []string{"python", "-m", "server"},
		Env: []string{
			"API_KEY=s3cret", "HOME=/home/user", "HOST=0.0.0.0", "MCP_PATH=/mcp", "MCP_TRANSPORT=streamable-http",
			"PATH=/app/.venv/bin:/usr/bin", "PORT=7860", "PYTHONUNBUFFERED=1", "SPACE_ID=acme/mcp",
		},
		Dir:    "/srv/mcp",
		User:   ids.User{UID: 1000, GID: 1000},
		Secret: []string{"API_KEY"},
	}
	got, err := launch.New(img, set)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("New: -want +got\n%s", diff)
	}
}

func TestNewChoosesTheCommand(t *testing.T) {
	t.Parallel()
	const skipped = `the image's Entrypoint "/entrypoint.sh" is skipped in favour of its Cmd: it lies outside the allowlist`
	for _, tt := range []struct {
		name       string
		img        launch.Image
		entrypoint []string
		cmd        []string
		rootfs     bool
		want       []string
		warning    string
	}{
		{
			name: "trap 52: Entrypoint and Cmd",
			img:  launch.Image{Entrypoint: []string{"node"}, Cmd: []string{"index.js", ""}},
			want: []string{"node", "index.js", ""},
		},
		{
			name: "trap 52: only Cmd",
			img:  launch.Image{Cmd: []string{"uvicorn", "app:app"}},
			want: []string{"uvicorn", "app:app"},
		},
		{
			name: "trap 52: the shell form is already an exec form in the config",
			img:  launch.Image{Entrypoint: []string{"/bin/sh", "-c", "exec server --port $PORT"}},
			want: []string{"/bin/sh", "-c", "exec server --port $PORT"},
		},
		{
			name:    "an init script is skipped in favour of Cmd",
			img:     launch.Image{Entrypoint: []string{"/entrypoint.sh", "--verbose"}, Cmd: []string{"server"}},
			want:    []string{"server"},
			warning: skipped,
		},
		{
			name:    "an init script is skipped in favour of RUNNER_CMD",
			img:     launch.Image{Entrypoint: []string{"/entrypoint.sh"}},
			cmd:     []string{"server"},
			want:    []string{"server"},
			warning: skipped,
		},
		{
			name:   "trap 52: outside allowlist mode the image's /entrypoint.sh really runs",
			img:    launch.Image{Entrypoint: []string{"/entrypoint.sh"}, Cmd: []string{"server"}},
			rootfs: true,
			want:   []string{"/entrypoint.sh", "server"},
		},
		{
			name: "an init script inside the allowlist is not skipped",
			img:  launch.Image{Entrypoint: []string{"/app/entrypoint.sh"}, Cmd: []string{"server"}},
			want: []string{"/app/entrypoint.sh", "server"},
		},
		{
			name:       "an init script named by RUNNER_ENTRYPOINT is not skipped",
			img:        launch.Image{Entrypoint: []string{"/init.sh"}, Cmd: []string{"server"}},
			entrypoint: []string{"/init.sh"},
			want:       []string{"/init.sh"},
		},
		{
			name:       "RUNNER_ENTRYPOINT drops the image's Cmd",
			img:        launch.Image{Entrypoint: []string{"node"}, Cmd: []string{"index.js"}},
			entrypoint: []string{"python", "-i"},
			want:       []string{"python", "-i"},
		},
		{
			name: "RUNNER_CMD keeps the image's Entrypoint",
			img:  launch.Image{Entrypoint: []string{"node"}, Cmd: []string{"index.js"}},
			cmd:  []string{"other.js"},
			want: []string{"node", "other.js"},
		},
		{
			name:       "an empty RUNNER_ENTRYPOINT clears the image's",
			img:        launch.Image{Entrypoint: []string{"tini", "--"}, Cmd: []string{"index.js"}},
			entrypoint: []string{},
			cmd:        []string{"node"},
			want:       []string{"node"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			set := settings()
			set.Entrypoint, set.Cmd, set.Allowlist = tt.entrypoint, tt.cmd, !tt.rootfs
			plan, err := launch.New(tt.img, set)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, plan.Argv); diff != "" {
				t.Errorf("Argv: -want +got\n%s", diff)
			}
			if got := strings.Join(plan.Warnings, "\n"); got != tt.warning {
				t.Errorf("Warnings = %q, want %q", got, tt.warning)
			}
		})
	}
}

func TestNewSkipsEveryInitScript(t *testing.T) {
	t.Parallel()
	for _, script := range []string{"/entrypoint.sh", "entrypoint.sh", "/start.sh", "/init.sh"} {
		plan, err := launch.New(launch.Image{Entrypoint: []string{script}, Cmd: []string{"server"}}, settings())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"server"}, plan.Argv); diff != "" {
			t.Errorf("Argv with Entrypoint %q: -want +got\n%s", script, diff)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		img    launch.Image
		change func(*launch.Settings)
		want   string
		hint   string
	}{
		{
			name: "trap 52: neither Entrypoint nor Cmd",
			want: "cannot plan the launch: the image has neither an Entrypoint nor a Cmd",
			hint: "name the program by RUNNER_ENTRYPOINT or RUNNER_CMD, or give the image an ENTRYPOINT",
		},
		{
			name: "an init script without a Cmd",
			img:  launch.Image{Entrypoint: []string{"/start.sh"}},
			want: `cannot plan the launch: the image's Entrypoint "/start.sh" is skipped, because it lies outside the allowlist, and there is no Cmd to run instead`,
			hint: `name the program by RUNNER_ENTRYPOINT or RUNNER_CMD, such as RUNNER_CMD="python -m server"`,
		},
		{
			name:   "overrides that leave nothing",
			img:    launch.Image{Cmd: []string{"server"}},
			change: func(set *launch.Settings) { set.Entrypoint = []string{} },
			want:   "cannot plan the launch: RUNNER_ENTRYPOINT and RUNNER_CMD leave no command to run",
		},
		{
			name: "an empty first word",
			img:  launch.Image{Cmd: []string{"", "server"}},
			want: "cannot plan the launch: the first word of the command is empty",
		},
		{
			name: "trap 51: NUL in the environment, whose value is not shown",
			img:  launch.Image{Cmd: []string{"server"}, Env: []string{"KEY=s3cret\x00"}},
			want: `cannot plan the launch: the environment variable "KEY" holds a NUL byte`,
		},
		{
			name: "trap 51: NUL in the command",
			img:  launch.Image{Cmd: []string{"server", "a\x00b"}},
			want: "cannot plan the launch: word 2 of the command holds a NUL byte",
		},
		{
			name: "trap 51: NUL in the directory",
			img:  launch.Image{Cmd: []string{"server"}, WorkingDir: "/a\x00"},
			want: `cannot plan the launch: the image's WorkingDir "/a\x00" holds a NUL byte`,
		},
		{
			name:   "a passthrough variable without a name, which is not shown",
			img:    launch.Image{Cmd: []string{"server"}},
			change: func(set *launch.Settings) { set.Passthrough = []string{"s3cret"} },
			want:   "cannot plan the launch: a passthrough variable is not NAME=value",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			set := settings()
			if tt.change != nil {
				tt.change(&set)
			}
			plan, err := launch.New(tt.img, set)
			if err == nil {
				t.Fatalf("New = %+v, want an error", plan)
			}
			if err.Error() != tt.want {
				t.Errorf("New: error %q, want %q", err, tt.want)
			}
			if got := hint.Of(err); got != tt.hint {
				t.Errorf("New: the hint is %q, want %q", got, tt.hint)
			}
		})
	}
}

func TestNewMergesTheEnvironment(t *testing.T) {
	t.Parallel()
	const engines = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	for _, tt := range []struct {
		name        string
		environ     []string
		image       []string
		passthrough []string
		home        string
		want        map[string]string
		warning     string
	}{
		{
			name:    "the image wins over the container",
			environ: []string{"TZ=UTC", "LANG=C"}, image: []string{"TZ=Europe/Paris"},
			want: map[string]string{"TZ": "Europe/Paris", "LANG": "C"},
		},
		{
			name:  "a passthrough variable wins over the image",
			image: []string{"MODEL=a"}, passthrough: []string{"MODEL=b"},
			want: map[string]string{"MODEL": "b"},
		},
		{
			name:        "the port wins over everything",
			environ:     []string{"PORT=1"},
			image:       []string{"PORT=2"},
			passthrough: []string{"PORT=3"},
			want:        map[string]string{"PORT": "7860"},
		},
		{
			name:        "MCP_HOST reaches the server as HOST",
			passthrough: []string{"HOST=127.0.0.1"},
			want:        map[string]string{"HOST": "0.0.0.0"},
		},
		{
			name:  "trap 51: names with dots and dashes are kept",
			image: []string{"spring.profiles-active=prod"},
			want:  map[string]string{"spring.profiles-active": "prod"},
		},
		{
			name:  "trap 51: an entry without = is skipped",
			image: []string{"BROKEN", "A=1"},
			want:  map[string]string{"A": "1"}, warning: `an entry of the image's Env is skipped: "BROKEN" is not NAME=value`,
		},
		{
			name:  "an entry without a name is skipped",
			image: []string{"=x"},
			want:  map[string]string{}, warning: `an entry of the image's Env is skipped: "=x" is not NAME=value`,
		},
		{
			name:  "trap 51: of duplicates the last wins",
			image: []string{"A=1", "B=2", "A=3"},
			want:  map[string]string{"A": "3", "B": "2"},
		},
		{
			name:  "a value holds everything after the first =",
			image: []string{"OPTS=-Dx=y=z"},
			want:  map[string]string{"OPTS": "-Dx=y=z"},
		},
		{
			name:    "trap 56: HOME is the image's",
			environ: []string{"HOME=/root"}, image: []string{"HOME=/srv"}, home: "/home/user",
			want: map[string]string{"HOME": "/srv"},
		},
		{
			name:    "trap 56: else the user's, never the container's own",
			environ: []string{"HOME=/root"}, home: "/home/user",
			want: map[string]string{"HOME": "/home/user"},
		},
		{
			name:    "trap 56: else the root directory",
			environ: []string{"HOME=/root"}, image: []string{"HOME="},
			want: map[string]string{"HOME": "/"},
		},
		{
			name:  "the operator's own HOME wins over all",
			image: []string{"HOME=/srv"}, passthrough: []string{"HOME=/data"}, home: "/home/user",
			want: map[string]string{"HOME": "/data"},
		},
		{
			name: "PATH has a default",
			want: map[string]string{"PATH": engines},
		},
		{
			name:    "PATH is the container's if the image has none",
			environ: []string{"PATH=/opt/bin"},
			want:    map[string]string{"PATH": "/opt/bin"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			want := map[string]string{
				"HOME": "/", "PATH": engines, "PORT": "7860", "HOST": "0.0.0.0",
				"MCP_TRANSPORT": "streamable-http", "MCP_PATH": "/mcp",
			}
			if tt.home != "" {
				want["HOME"] = tt.home
			}
			maps.Copy(want, tt.want)
			set := settings()
			set.Environ, set.Passthrough, set.Home = tt.environ, tt.passthrough, tt.home
			plan, err := launch.New(launch.Image{Cmd: []string{"server"}, Env: tt.image}, set)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, asMap(t, plan.Env)); diff != "" {
				t.Errorf("Env: -want +got\n%s", diff)
			}
			if got := strings.Join(plan.Warnings, "\n"); got != tt.warning {
				t.Errorf("Warnings = %q, want %q", got, tt.warning)
			}
		})
	}
}

// asMap fails the test when a name occurs twice.
func asMap(t *testing.T, env []string) map[string]string {
	t.Helper()
	values := map[string]string{}
	for _, entry := range env {
		name, value, ok := strings.Cut(entry, "=")
		if _, twice := values[name]; twice || !ok {
			t.Errorf("Env entry %q is a second one or none", entry)
		}
		values[name] = value
	}
	return values
}

func TestNewCleansTheDirectory(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, workingDir, want string }{
		{"none means /app", "", "/app"},
		{"an absolute one stays", "/srv/mcp", "/srv/mcp"},
		{"a relative one lies below /", "srv", "/srv"},
		{"surplus parts go", "/a/./b//../c/", "/a/c"},
		{"it does not leave the root", "../../etc", "/etc"},
		{"the root itself", "/", "/"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			plan, err := launch.New(launch.Image{Cmd: []string{"server"}, WorkingDir: tt.workingDir}, settings())
			if err != nil {
				t.Fatal(err)
			}
			if plan.Dir != tt.want {
				t.Errorf("Dir of WorkingDir %q = %q, want %q", tt.workingDir, plan.Dir, tt.want)
			}
		})
	}
}

func TestNewWarns(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		img   launch.Image
		port  int
		uid   uint32
		stdio bool
		want  string
	}{
		{
			name: "a stdio server does not listen, wherever that would be",
			img:  launch.Image{ExposedPorts: []string{"9000/tcp"}},
			port: 80, uid: 1000, stdio: true,
		},
		{
			name: "trap 60: a low port for an ordinary user",
			port: 80, uid: 1000,
			want: "PORT is 80: on many hosts only root can listen below 1024",
		},
		{name: "a low port for root is fine", port: 80, uid: 0},
		{
			name: "trap 60: a port that the image does not expose",
			img:  launch.Image{ExposedPorts: []string{"9000/tcp", "8000"}},
			port: 7860, uid: 1000,
			want: "PORT is 7860, but the image exposes 8000, 9000/tcp: the server must listen where PORT says",
		},
		{
			name: "a port exposed for datagrams is not exposed for MCP",
			img:  launch.Image{ExposedPorts: []string{"7860/udp"}},
			port: 7860, uid: 1000,
			want: "PORT is 7860, but the image exposes 7860/udp: the server must listen where PORT says",
		},
		{name: "an exposed port is fine", img: launch.Image{ExposedPorts: []string{"80/tcp", "7860"}}, port: 7860, uid: 1000},
		{name: "a port in an exposed range is fine", img: launch.Image{ExposedPorts: []string{"7000-8000/tcp"}}, port: 7860, uid: 1000},
		{
			name: "the image wants another uid",
			img:  launch.Image{User: "1001:0"},
			port: 7860, uid: 1000,
			want: "the image's User is 1001:0, but the server runs as 1000:1000: RUNNER_USER chooses another",
		},
		{name: "the image wants this uid", img: launch.Image{User: "1000"}, port: 7860, uid: 1000},
		{name: "an image for root is the rule, not a surprise", img: launch.Image{User: "0"}, port: 7860, uid: 1000},
		{name: "a user name says nothing about uids", img: launch.Image{User: "node"}, port: 7860, uid: 1000},
		{
			name: "a StopSignal that nobody will send",
			img:  launch.Image{StopSignal: "SIGQUIT"},
			port: 7860, uid: 1000,
			want: `the image's StopSignal "SIGQUIT" is not used: the server gets the signals that this container gets, usually SIGTERM; RUNNER_INIT=on translates them`,
		},
		{name: "the usual StopSignal", img: launch.Image{StopSignal: "sigterm"}, port: 7860, uid: 1000},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			set := settings()
			set.Port, set.User = tt.port, ids.User{UID: tt.uid, GID: tt.uid}
			if tt.stdio {
				set.Transport = "stdio"
			}
			tt.img.Cmd = []string{"server"}
			plan, err := launch.New(tt.img, set)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(plan.Warnings, "\n"); got != tt.want {
				t.Errorf("Warnings = %q, want %q", got, tt.want)
			}
		})
	}
}

func TestPlanWithEnv(t *testing.T) {
	t.Parallel()
	plan := launch.Plan{Env: []string{"A=1", "C=3"}}
	for _, tt := range []struct {
		name, variable string
		want           []string
	}{
		{"a new variable takes its place in the order", "B", []string{"A=1", "B=x", "C=3"}},
		{"a new last variable", "D", []string{"A=1", "C=3", "D=x"}},
		{"an old variable changes its value", "C", []string{"A=1", "C=x"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := plan.WithEnv(tt.variable, "x")
			if diff := cmp.Diff(tt.want, got.Env); diff != "" {
				t.Errorf("WithEnv: -want +got\n%s", diff)
			}
			if value, ok := got.Lookup(tt.variable); value != "x" || !ok {
				t.Errorf("Lookup(%q) = %q, %t, want the new value", tt.variable, value, ok)
			}
			if want := []string{"A=1", "C=3"}; !slices.Equal(plan.Env, want) {
				t.Errorf("WithEnv changed the old plan to %q", plan.Env)
			}
		})
	}
	if value, ok := plan.Lookup("B"); ok {
		t.Errorf("Lookup of an absent variable = %q, true", value)
	}
}

func TestLookupHome(t *testing.T) {
	t.Parallel()
	const passwd = "root:x:0:0:root:/root:/bin/sh\n" +
		"# a comment:::\n" +
		"user:x:1000:1000:A, User:/home/user:/bin/sh\r\n" +
		"again:x:1000:1000::/home/again:/bin/sh\n" +
		"short:x:1001:1001\n" +
		"none:x:1002:1002:::\n" +
		"relative:x:1003:1003::home:/bin/sh\n" +
		"wrapped:x:4294968296:0::/wrapped:/bin/sh\n" +
		"noshell:x:1004:1004::/last"
	for _, tt := range []struct {
		name string
		uid  uint32
		want string
		ok   bool
	}{
		{"root", 0, "/root", true},
		{"trap 54: of two entries the first counts, and 4294968296 is not 1000", 1000, "/home/user", true},
		{"an entry cut short is none", 1001, "", false},
		{"an empty home is none", 1002, "", false},
		{"a last line without a newline", 1004, "/last", true},
		{"trap 54: a uid without an entry", 4242, "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if home, ok := launch.LookupHome([]byte(passwd), tt.uid); home != tt.want || ok != tt.ok {
				t.Errorf("LookupHome(%d) = %q, %t, want %q, %t", tt.uid, home, ok, tt.want, tt.ok)
			}
		})
	}
	if _, ok := launch.LookupHome([]byte(passwd), 1003); ok {
		t.Error("LookupHome takes a relative home directory")
	}
}
