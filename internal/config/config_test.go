package config_test

import (
	"errors"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/net/http/httpproxy"

	"github.com/drengskapur/fastmcp-runner/internal/config"
	"github.com/drengskapur/fastmcp-runner/internal/ids"
)

// parse reads an environment and files whose names are absolute.
func parse(files fstest.MapFS, environ ...string) (*config.Config, error) {
	return config.Parse(config.Source{Environ: environ, Open: opener(files)})
}

func opener(files fstest.MapFS) func(string) (fs.File, error) {
	return func(name string) (fs.File, error) { return files.Open(strings.TrimPrefix(name, "/")) }
}

// mustParse fails the test if the environment has faults.
func mustParse(t *testing.T, environ ...string) *config.Config {
	t.Helper()
	cfg, err := parse(nil, environ...)
	if err != nil {
		t.Fatalf("Parse(%q): %v", environ, err)
	}
	return cfg
}

// wantFault fails the test if err does not read exactly so.
func wantFault(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no fault, want %s", want)
	}
	if err.Error() != want {
		t.Errorf("fault:\n got %s\nwant %s", err, want)
	}
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	empty := []string{"IMAGE=", "PORT=", "MCP_TRANSPORT=", "RUNNER_USER=", "LOG_LEVEL=", "RUNNER_CMD="}
	for _, environ := range [][]string{nil, empty} {
		cfg := mustParse(t, environ...)
		want := defaults()
		got := shown(cfg)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("Parse(%q) (-want +got):\n%s", environ, diff)
		}
	}
}

// values are the fields of a Config that can be compared.
type values struct {
	Image, Transport, Host, Path, Health, User, Password, Mode, Root, As, Format string
	Port                                                                         int
	Insecure, Entrypoint, Cmd, ServerEnv, Passthrough, Skipped, Warnings         []string
	Platform                                                                     *v1.Platform
	Proxy                                                                        httpproxy.Config
	MaxBytes, MaxEntries                                                         int64
	Level                                                                        slog.Level
}

func defaults() values {
	return values{
		Transport: "streamable-http", Host: "0.0.0.0", Path: "/mcp", Health: "/health",
		Mode: "allowlist", Root: "/", As: "1000:1000", Format: "text",
		MaxBytes: 16 << 30, MaxEntries: 2_000_000,
	}
}

func shown(c *config.Config) values {
	v := values{
		Port: c.Port, Transport: string(c.Transport), Host: c.Host, Path: c.Path, Health: c.HealthcheckPath,
		User: c.RegistryUser, Password: c.RegistryPassword.Reveal(), Insecure: c.InsecureRegistries,
		Platform: c.Platform, Proxy: c.Proxy, Mode: string(c.Mode), Root: c.Root, As: c.User.String(),
		Entrypoint: c.Entrypoint, Cmd: c.Cmd, MaxBytes: c.MaxBytes, MaxEntries: c.MaxEntries,
		Level: c.LogLevel, Format: string(c.LogFormat),
		ServerEnv: c.ServerEnv, Passthrough: c.Passthrough, Skipped: c.SkippedPassthrough, Warnings: c.Warnings,
	}
	if c.Image != nil {
		v.Image = c.Image.Name()
	}
	return v
}

func TestEveryVariableArrives(t *testing.T) {
	t.Parallel()
	cfg := mustParse(
		t,
		"IMAGE=ghcr.io/acme/mcp:1.4", "PORT=8000", "MCP_TRANSPORT=sse", "MCP_HOST=::1", "MCP_PATH=/a/b",
		"HEALTHCHECK_PATH=/up?deep=1", "REGISTRY_USER=me", "REGISTRY_PASSWORD=p w ",
		"RUNNER_INSECURE_REGISTRIES=LOCALHOST:5000, [::1]:5000,10.0.0.1", "RUNNER_PLATFORM=linux/arm64/v8",
		"HTTPS_PROXY=http://a:b@proxy:3128", "http_proxy=proxy:80", "no_proxy=.internal,10.0.0.0/8",
		"RUNNER_MODE=allowlist", "RUNNER_ROOT=/tmp/root", "RUNNER_ALLOW_PATHS=/srv2,/usr/share/x",
		"RUNNER_USER=12:34", `RUNNER_ENTRYPOINT=["a b","c"]`, "RUNNER_CMD=x 'y z'",
		"RUNNER_MAX_BYTES=512MiB", "RUNNER_MAX_ENTRIES=7", "LOG_LEVEL=debug", "LOG_FORMAT=json",
		"MCP_ENV_KEY=v=1", "MCP_ENV_1X=v", "TZ=UTC",
	)
	want := values{
		Image: "ghcr.io/acme/mcp:1.4", Port: 8000, Transport: "sse", Host: "::1", Path: "/a/b", Health: "/up?deep=1",
		User: "me", Password: "p w ", Insecure: []string{"localhost:5000", "[::1]:5000", "10.0.0.1"},
		Platform: &v1.Platform{OS: "linux", Architecture: "arm64", Variant: "v8"},
		Proxy:    httpproxy.Config{HTTPProxy: "proxy:80", HTTPSProxy: "http://a:b@proxy:3128", NoProxy: ".internal,10.0.0.0/8"},
		Mode:     "allowlist", Root: "/tmp/root", As: "12:34",
		Entrypoint: []string{"a b", "c"}, Cmd: []string{"x", "y z"},
		MaxBytes: 512 << 20, MaxEntries: 7, Level: slog.LevelDebug, Format: "json",
		Passthrough: []string{"KEY=v=1"}, Skipped: []string{"MCP_ENV_1X"},
		ServerEnv: []string{"HTTPS_PROXY=http://a:b@proxy:3128", "http_proxy=proxy:80", "no_proxy=.internal,10.0.0.0/8", "TZ=UTC"},
	}
	if diff := cmp.Diff(want, shown(cfg)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !cfg.Allow.Allows("usr/share/x/y") || !cfg.Allow.Allows("app") {
		t.Error("the allowlist lacks a given or a built-in path")
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		environ string
		want    string
	}{
		{"a port with a letter", "PORT=80a", `PORT="80a": not a number from 1 to 65535`},
		{"a port with a sign", "PORT=+80", `PORT="+80": not a number from 1 to 65535`},
		{"port zero", "PORT=0", `PORT="0": not a number from 1 to 65535`},
		{"a port too great", "PORT=65536", `PORT="65536": not a number from 1 to 65535`},
		{"white space is named", "PORT=8000 ", `PORT="8000 ": white space around the value: remove it`},
		{"white space alone is not unset", "MCP_PATH= ", `MCP_PATH=" ": white space around the value: remove it`},
		{"a line break stays on the line", "IMAGE=a\nb", `IMAGE="a\nb": the character '\n' is not allowed: a reference has letters, digits and . - _ / : @ only`},
		{"trap 50: credentials in a URL are masked", "IMAGE=https://me:hunter22@ghcr.io/x", `IMAGE="https://[redacted]@ghcr.io/x": a reference has no scheme: write "ghcr.io/x"`},
		{"trap 50: credentials before a host are masked", "IMAGE=me:hunter22@ghcr.io/x", `IMAGE="[redacted]@ghcr.io/x": what follows "@" is not a digest, such as sha256: and 64 hexadecimal digits`},
		{"a mistyped digest is shown", "IMAGE=x@sha256:9f2c", `IMAGE="x@sha256:9f2c": what follows "@" is not a digest, such as sha256: and 64 hexadecimal digits`},
		{"a NUL byte", "TZ=a\x00b", `TZ: holds a NUL byte`},
		{"a NUL byte in one of ours is said once", "PORT=8\x00", `PORT: holds a NUL byte`},
		{"an unknown transport", "MCP_TRANSPORT=grpc", `MCP_TRANSPORT="grpc": not one of streamable-http, sse, stdio`},
		{"a switch that is on or off only", "RUNNER_PAGE=auto", `RUNNER_PAGE="auto": not one of on, off`},
		{"an unknown way to serve HTTP+SSE", "RUNNER_BRIDGE_SSE=yes", `RUNNER_BRIDGE_SSE="yes": not one of on, off, only`},
		{"a session key that can be guessed", "RUNNER_SESSION_KEY=secret", `RUNNER_SESSION_KEY: the key is shorter than 16 bytes: "openssl rand -hex 32" makes one`},
		{"an unknown mode", "RUNNER_MODE=chroot", `RUNNER_MODE="chroot": not one of allowlist, rootfs`},
		{"a level in upper case", "LOG_LEVEL=INFO", `LOG_LEVEL="INFO": not one of debug, info, warn, error`},
		{"an unknown format", "LOG_FORMAT=xml", `LOG_FORMAT="xml": not one of text, json`},
		{"a host with a port", "MCP_HOST=0.0.0.0:80", `MCP_HOST="0.0.0.0:80": not an IP address or host name, such as 0.0.0.0, ::1 or localhost`},
		{"a relative path", "MCP_PATH=mcp", `MCP_PATH="mcp": not an absolute URL path: it begins with /`},
		{"a query in the endpoint", "MCP_PATH=/mcp?x", `MCP_PATH="/mcp?x": a path has no query`},
		{"a space in a path", "HEALTHCHECK_PATH=/a b", `HEALTHCHECK_PATH="/a b": a URL path does not hold ' ': percent-encode it`},
		{"a bad escape in a path", "HEALTHCHECK_PATH=/%zz", `HEALTHCHECK_PATH="/%zz": not a URL path: a % stands before two hexadecimal digits`},
		{"a user without a password", "REGISTRY_USER=me", `REGISTRY_USER is set but REGISTRY_PASSWORD is not: set both, or neither`},
		{"a password without a user", "REGISTRY_PASSWORD=hunter22", `REGISTRY_PASSWORD is set but REGISTRY_USER is not: set both, or neither`},
		{"a line break in a password", "REGISTRY_PASSWORD=hunter22\n|REGISTRY_USER=me", `REGISTRY_PASSWORD: holds a control character, perhaps a line break at its end`},
		{"a colon in a user", "REGISTRY_PASSWORD=hunter22|REGISTRY_USER=a:b", `REGISTRY_USER="a:b": holds a colon, which HTTP Basic authentication (RFC 7617) cannot carry`},
		{"a registry by URL", "RUNNER_INSECURE_REGISTRIES=ok:5000,http://x", `RUNNER_INSECURE_REGISTRIES="ok:5000,http://x": "http://x" is not a registry host, as host or host:port`},
		{"credentials in a registry are masked", "RUNNER_INSECURE_REGISTRIES=me:hunter22@x", `RUNNER_INSECURE_REGISTRIES="[redacted]@x": "[redacted]@x" is not a registry host, as host or host:port`},
		{"another system", "RUNNER_PLATFORM=windows/amd64", `RUNNER_PLATFORM="windows/amd64": the runner starts Linux programs only: the system is linux`},
		{"an unknown architecture", "RUNNER_PLATFORM=linux/z80", `RUNNER_PLATFORM="linux/z80": the architecture is none of 386, amd64, arm, arm64, loong64, mips, mips64, mips64le, mipsle, ppc64, ppc64le, riscv64, s390x`},
		{"an architecture alone", "RUNNER_PLATFORM=amd64", `RUNNER_PLATFORM="amd64": not os/arch or os/arch/variant, such as linux/amd64 or linux/arm64/v8`},
		{"a proxy is not shown", "HTTPS_PROXY=ftp://me:hunter22@proxy", `HTTPS_PROXY: the scheme of a proxy is http, https, socks5 or socks5h`},
		{"a proxy without a host", "http_proxy=http://", `http_proxy: not the address of a proxy, such as http://proxy.example:3128`},
		{"a relative root", "RUNNER_ROOT=root", `RUNNER_ROOT="root": not an absolute path: it begins with /`},
		{"a system directory", "RUNNER_ALLOW_PATHS=/x,/etc", `RUNNER_ALLOW_PATHS="/x,/etc": "/etc" is or contains the system directory /etc`},
		{"trap 54: the uid that means none", "RUNNER_USER=4294967295", `RUNNER_USER="4294967295": not uid or uid:gid, in numbers from 0 to 4294967294`},
		{"trap 54: a gid that wraps to root", "RUNNER_USER=1:4294967296", `RUNNER_USER="1:4294967296": not uid or uid:gid, in numbers from 0 to 4294967294`},
		{"a user by name", "RUNNER_USER=app", `RUNNER_USER="app": not uid or uid:gid, in numbers from 0 to 4294967294`},
		{"a user without a gid after the colon", "RUNNER_USER=1000:", `RUNNER_USER="1000:": not uid or uid:gid, in numbers from 0 to 4294967294`},
		{"an open quote", "RUNNER_CMD=a 'b", `RUNNER_CMD="a 'b": a quote or backslash is left open`},
		{"no words", "RUNNER_CMD=  ", `RUNNER_CMD="  ": holds no word: for an empty list write []`},
		{"an array with null", `RUNNER_CMD=["a",null]`, `RUNNER_CMD="[\"a\",null]": begins with [ but is not a JSON array of strings, such as ["python", "-m", "app"]`},
		{"trap 51: a NUL byte by JSON", `RUNNER_CMD=["\u0000"]`, `RUNNER_CMD="[\"\\u0000\"]": an argument holds a NUL byte`},
		{"an empty entrypoint", "RUNNER_ENTRYPOINT=[]", `RUNNER_ENTRYPOINT="[]": names no program`},
		{"an entrypoint without a name", `RUNNER_ENTRYPOINT=["","a"]`, `RUNNER_ENTRYPOINT="[\"\",\"a\"]": names no program`},
		{"no bytes", "RUNNER_MAX_BYTES=0", `RUNNER_MAX_BYTES="0": not a number of bytes, such as 4294967296, 512MiB or 4G`},
		{"an unknown unit", "RUNNER_MAX_BYTES=4GiG", `RUNNER_MAX_BYTES="4GiG": not a number of bytes, such as 4294967296, 512MiB or 4G`},
		{"bytes beyond 63 bits", "RUNNER_MAX_BYTES=8388608T", `RUNNER_MAX_BYTES="8388608T": more bytes than can be counted`},
		{"negative entries", "RUNNER_MAX_ENTRIES=-1", `RUNNER_MAX_ENTRIES="-1": not a positive whole number`},
		{"trap 50: inline authentication that is neither", "DOCKER_AUTH_CONFIG=hunter22", `DOCKER_AUTH_CONFIG: neither a JSON object nor base64 of one`},
		{"trap 50: inline authentication of broken JSON", `DOCKER_AUTH_CONFIG={"auths":hunter22}`, `DOCKER_AUTH_CONFIG: neither a JSON object nor base64 of one`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := parse(nil, strings.Split(test.environ, "|")...)
			wantFault(t, err, test.want)
		})
	}
}

func TestAllFaultsAtOnceSortedByVariable(t *testing.T) {
	t.Parallel()
	_, err := config.Parse(config.Source{
		Environ:  []string{"RUNNER_USER=x", "PORT=80a", "LOG_LEVEL=loud", "REGISTRY_USER=me"},
		Required: []string{"PORT", "IMAGE"},
	})
	wantFault(t, err, `IMAGE is not set: set it, for example IMAGE=ghcr.io/acme/mcp:1.4
LOG_LEVEL="loud": not one of debug, info, warn, error
PORT="80a": not a number from 1 to 65535
REGISTRY_USER is set but REGISTRY_PASSWORD is not: set both, or neither
RUNNER_USER="x": not uid or uid:gid, in numbers from 0 to 4294967294`)
}

func TestLongValueIsCut(t *testing.T) {
	t.Parallel()
	_, err := parse(nil, "PORT="+strings.Repeat("9", 100_000))
	wantFault(t, err, `PORT="`+strings.Repeat("9", 200)+`"...: not a number from 1 to 65535`)
}

func TestSizes(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]int64{
		"1": 1, "4294967296": 4 << 30, "2G": 2 << 30, "2g": 2 << 30, "512MiB": 512 << 20, "3KB": 3000, "1TB": 1e12, "7tib": 7 << 40,
	} {
		if got := mustParse(t, "RUNNER_MAX_BYTES="+s).MaxBytes; got != want {
			t.Errorf("RUNNER_MAX_BYTES=%s is %d, want %d", s, got, want)
		}
	}
}

func TestWords(t *testing.T) {
	t.Parallel()
	for s, want := range map[string][]string{
		"":                   nil,
		"[]":                 {},
		` ["a b", ""] `:      {"a b", ""},
		`sh -c 'echo "$HI"'`: {"sh", "-c", `echo "$HI"`},
		`a\ b ''`:            {"a b", ""},
	} {
		if diff := cmp.Diff(want, mustParse(t, "RUNNER_CMD="+s).Cmd); diff != "" {
			t.Errorf("RUNNER_CMD=%s (-want +got):\n%s", s, diff)
		}
	}
}

func TestUsers(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]ids.User{
		"0": {UID: 0, GID: 0}, "1001": {UID: 1001, GID: 1001}, "1001:0": {UID: 1001, GID: 0},
		"4294967294": {UID: 4294967294, GID: 4294967294},
	} {
		if got := mustParse(t, "RUNNER_USER="+s).User; got != want {
			t.Errorf("RUNNER_USER=%s is %v, want %v", s, got, want)
		}
	}
}

func TestProxyInUpperCaseCountsFirst(t *testing.T) {
	t.Parallel()
	cfg := mustParse(t, "https_proxy=lower:1", "HTTPS_PROXY=upper:1", "HTTP_PROXY=", "http_proxy=socks5://s:1")
	want := httpproxy.Config{HTTPProxy: "socks5://s:1", HTTPSProxy: "upper:1"}
	if cfg.Proxy != want {
		t.Errorf("Proxy = %+v, want %+v", cfg.Proxy, want)
	}
}

func TestServerEnvironment(t *testing.T) {
	t.Parallel()
	cfg := mustParse(
		t,
		"HOSTNAME=a", "no equals sign", "=nameless", "SPACE_ID=s", "HOSTNAME=b", "with.dot-dash=1", "EMPTY=",
		"IMAGE=ghcr.io/a/b", "PORT=1", "MCP_HOST=::", "LOG_LEVEL=warn", "HEALTHCHECK_PATH=/", "RUNNER_FOO=x",
		"REGISTRY_USER=u", "REGISTRY_PASSWORD=hunter22", "DOCKER_AUTH_CONFIG={}", "DOCKER_CONFIG=",
		"REGISTRY_USER_FILE=", "HTTPS_PROXY=p:1",
		"MCP_ENV_B=2", "MCP_ENV_A=1", "MCP_ENV_A=3", "MCP_ENV_EMPTY=", "MCP_ENV_=x", "MCP_ENV_a-b=x", "MCP_ENV_é=x",
	)
	want := []string{"HOSTNAME=b", "SPACE_ID=s", "with.dot-dash=1", "EMPTY=", "HTTPS_PROXY=p:1"}
	if diff := cmp.Diff(want, cfg.ServerEnv); diff != "" {
		t.Errorf("trap 51: ServerEnv (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"A=3", "B=2", "EMPTY="}, cfg.Passthrough); diff != "" {
		t.Errorf("Passthrough (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"MCP_ENV_", "MCP_ENV_a-b", "MCP_ENV_é"}, cfg.SkippedPassthrough); diff != "" {
		t.Errorf("SkippedPassthrough (-want +got):\n%s", diff)
	}
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	cfg := mustParse(t, "IMAGE=nginx", "MCP_ENV_PORT=1", "MCP_ENV_MCP_PATH=/x", "RUNNER_MAXBYTES=1", "RUNNER_ENTRY\nPOINT=1")
	want := []string{
		`IMAGE="nginx" names no registry host: docker.io/library/nginx:latest is used`,
		`MCP_ENV_MCP_PATH is overruled: the server gets MCP_PATH from MCP_PATH`,
		`MCP_ENV_PORT is overruled: the server gets PORT from PORT`,
		`"RUNNER_ENTRY\nPOINT" is not known and has no effect; the nearest known name is RUNNER_ENTRYPOINT`,
		`RUNNER_MAXBYTES is not known and has no effect; the nearest known name is RUNNER_MAX_BYTES`,
	}
	if diff := cmp.Diff(want, cfg.Warnings); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestLogSettings(t *testing.T) {
	t.Parallel()
	level, format := config.LogSettings([]string{"LOG_LEVEL=warn", "LOG_FORMAT=json", "PORT=x"})
	if level != slog.LevelWarn || format != config.FormatJSON {
		t.Errorf("LogSettings = %v, %v, want the given ones", level, format)
	}
	level, format = config.LogSettings([]string{"LOG_LEVEL=loud", "LOG_FORMAT=xml"})
	if level != slog.LevelInfo || format != config.FormatText {
		t.Errorf("LogSettings of wrong values = %v, %v, want the defaults", level, format)
	}
}

func TestVariablesAreComplete(t *testing.T) {
	t.Parallel()
	var names []string
	for _, v := range config.Variables() {
		names = append(names, v.Name)
		if v.Doc == "" || v.Group == "" {
			t.Errorf("%s has no documentation or no group", v.Name)
		}
	}
	slices.Sort(names)
	if len(slices.Compact(slices.Clone(names))) != len(names) {
		t.Errorf("a name stands twice in %v", names)
	}
}

func TestFaultsCanBeTakenOneByOne(t *testing.T) {
	t.Parallel()
	_, err := parse(nil, "PORT=x", "LOG_LEVEL=x")
	joined, ok := errors.AsType[interface {
		error
		Unwrap() []error
	}](err)
	if !ok || len(joined.Unwrap()) != 2 {
		t.Errorf("Parse gives %#v, want two joined faults", err)
	}
}
