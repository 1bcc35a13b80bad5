package config_test

import (
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/drengskapur/fastmcp-runner/internal/config"
)

// FuzzParse reads one environment entry from each line.
func FuzzParse(f *testing.F) {
	// No other text that an environment or a fault may hold contains this.
	const marker = "xXhunter22Xx"
	for _, seed := range []string{
		"IMAGE=ghcr.io/acme/mcp:1.4\nPORT=8000\nREGISTRY_USER=me",
		"IMAGE=nginx\nPORT=80a\nRUNNER_USER=4294967295\nRUNNER_MAX_BYTES=4GiB",
		"RUNNER_CMD=[\"a\",null]\nRUNNER_ENTRYPOINT=sh -c 'x\nMCP_ENV_A=1\nMCP_ENV_A=2\nMCP_ENV_1=x",
		"REGISTRY_USER_FILE=/user\nREGISTRY_PASSWORD=\nREGISTRY_PASSWORD_FILE=/password\nDOCKER_CONFIG=/d",
		"HTTPS_PROXY=ftp://x\nRUNNER_PLATFORM=linux/arm64/v8\nRUNNER_ALLOW_PATHS=/etc\nRUNNER_FOO=1\n=x\nno",
		"MCP_TRANSPORT=stdio\nMCP_PATH=/%68ealth\nRUNNER_METRICS=on\nHEALTHCHECK_PATH=/metrics\nRUNNER_ALLOWED_ORIGINS=https://a, \"b",
		"MCP_HOST=::1\nMCP_PATH=/%zz\nHEALTHCHECK_PATH=/a?b\nLOG_LEVEL=warn\nLOG_FORMAT=json\nTZ=\x00",
	} {
		f.Add(seed, "\n", false)
		f.Add(seed, "", false)
		f.Add(seed, "", true)
	}
	f.Fuzz(func(t *testing.T, lines, tail string, broken bool) {
		if strings.Contains(lines, "Xx") || strings.Contains(lines, "xX") {
			t.Skip("the environment may hold the marker")
		}
		secret := marker + tail
		environ := []string{"IMAGE=ghcr.io/acme/mcp", "PORT=8000", "REGISTRY_USER=me", "REGISTRY_PASSWORD=" + secret}
		if broken {
			environ = append(environ, "DOCKER_AUTH_CONFIG="+secret, "https_proxy=ftp://me:"+secret+"@proxy")
		}
		environ = append(environ, strings.Split(lines, "\n")...)
		files := fstest.MapFS{"password": file(secret), "user": file("me\n"), "d/config.json": file(secret)}
		src := config.Source{Environ: environ, Open: opener(files), Required: []string{"IMAGE", "PORT"}, Serves: config.Image}
		cfg, err := config.Parse(src)
		again, errAgain := config.Parse(src)
		if err != nil {
			checkFaults(t, err, errAgain, marker)
			return
		}
		if diff := cmp.Diff(shown(cfg), shown(again)); diff != "" || errAgain != nil {
			t.Errorf("the second Parse gives %v and differs (-first +second):\n%s", errAgain, diff)
		}
		checkServerEnv(t, cfg)
	})
}

// checkFaults asserts that the faults are the same each time, one a line, and
// show no secret.
func checkFaults(t *testing.T, err, again error, marker string) {
	t.Helper()
	if again == nil || err.Error() != again.Error() {
		t.Errorf("the second Parse gives other faults:\n%v\n%v", err, again)
	}
	if strings.Contains(err.Error(), marker) {
		t.Errorf("a secret stands in:\n%v", err)
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if lines := strings.Count(err.Error(), "\n") + 1; !ok || lines != len(joined.Unwrap()) {
		t.Errorf("not one line each:\n%v", err)
	}
}

// checkServerEnv asserts that what belongs to the runner stays with it and
// that every name is there once.
func checkServerEnv(t *testing.T, cfg *config.Config) {
	t.Helper()
	mine := map[string]bool{}
	for _, v := range config.Variables() {
		mine[v.Name] = !v.Server
	}
	seen := map[string]bool{}
	for _, entry := range cfg.ServerEnv {
		name, _, ok := strings.Cut(entry, "=")
		if !ok || name == "" || seen[name] || strings.Contains(entry, "\x00") {
			t.Errorf("entry %q has no name, or a known one, or a NUL byte", entry)
		}
		if mine[name] || strings.HasPrefix(name, "RUNNER_") || strings.HasPrefix(name, "MCP_ENV_") {
			t.Errorf("entry %q belongs to the runner", entry)
		}
		seen[name] = true
	}
}

// FuzzParseReference asserts that what is accepted means the same when it is
// read again by its full name, and stays within the allowed characters, and that
// what an error says to write instead is accepted.
func FuzzParseReference(f *testing.F) {
	for _, seed := range []string{
		"nginx", "org/repo", "localhost:5000/x", "[::1]:5000/x", "GHCR.io/a/b:V1", "x:tag@" + digest,
		"https://me:token@ghcr.io/x", "docker://x", " x", "a//b", "x@sha256:", "[::1", "localhost:5000", "x:",
		"file:///x", "a://b://c", "https://@/", "X:-", "docker://X/Y@z", "Ghcr.io/X:Y",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		ref, warning, err := config.ParseReference(s)
		if err != nil {
			if ref != nil || warning != "" || strings.Contains(err.Error(), "\n") {
				t.Errorf("ParseReference(%q) = %v, %q, %v", s, ref, warning, err)
			}
			if _, quoted, ok := strings.Cut(err.Error(), ": write "); ok {
				suggested, err := strconv.Unquote(quoted)
				if _, _, wrong := config.ParseReference(suggested); err != nil || wrong != nil {
					t.Errorf("ParseReference(%q) says to write %s: %v, %v", s, quoted, err, wrong)
				}
			}
			return
		}
		again, warning, err := config.ParseReference(ref.Name())
		if err != nil || warning != "" || again.Name() != ref.Name() {
			t.Errorf("ParseReference(%q) = %s, but read again %v, %q, %v", s, ref.Name(), again, warning, err)
		}
		if strings.ContainsAny(ref.Name(), " \t\r\n\\\"'$&;|<>()?#%") {
			t.Errorf("ParseReference(%q) = %q", s, ref.Name())
		}
	})
}
