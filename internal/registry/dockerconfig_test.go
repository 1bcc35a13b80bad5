package registry_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/drengskapur/fastmcp-runner/internal/registry"
)

func base(pair string) string {
	return base64.StdEncoding.EncodeToString([]byte(pair))
}

func TestDockerConfigs(t *testing.T) {
	t.Parallel()
	entry := func(key, pair string) string {
		return fmt.Sprintf(`{"auths":{%q:{"auth":%q}}}`, key, base(pair))
	}
	tests := []struct {
		name, ref string
		opts      registry.Options
		want      string // user:password as the registry sees it; "": anonymous.
	}{
		{"trap 50: auth", "ghcr.io/acme/mcp", dockerOptions(entry("ghcr.io", "bob:b:c")), "bob:b:c"},
		{"trap 50: auth that ends in NUL", "ghcr.io/acme/mcp", dockerOptions(entry("ghcr.io", "bob:b\x00")), "bob:b"},
		{"trap 50: username and password", "ghcr.io/acme/mcp", dockerOptions(`{"auths":{"ghcr.io":{"username":"bob","password":"b"}}}`), "bob:b"},
		{"trap 50: a key that is a URL", "ghcr.io/acme/mcp", dockerOptions(entry("https://ghcr.io/v2/", "bob:b")), "bob:b"},
		{"trap 50: a key with a port", "ghcr.io:8443/acme/mcp", dockerOptions(entry("ghcr.io:8443", "bob:b")), "bob:b"},
		{"trap 50: docker.io under its old key", "acme/mcp", dockerOptions(entry("https://index.docker.io/v1/", "bob:b")), "bob:b"},
		{"trap 50: docker.io under its name", "acme/mcp", dockerOptions(entry("docker.io", "bob:b")), "bob:b"},
		{"trap 50: another registry's entry is not used", "ghcr.io/acme/mcp", dockerOptions(entry("ghcr.io.evil.example.com", "bob:b")), ""},
		{"trap 50: nor is one whose key is the end of ours", "ghcr.io/acme/mcp", dockerOptions(entry("hcr.io", "bob:b")), ""},
		{"trap 50: an entry for a path", "ghcr.io/acme/mcp", dockerOptions(entry("ghcr.io/acme", "bob:b")), "bob:b"},
		{
			"trap 50: the longest path wins", "ghcr.io/acme/mcp",
			dockerOptions(fmt.Sprintf(`{"auths":{"ghcr.io":{"auth":%q},"ghcr.io/acme/mcp":{"auth":%q}}}`, base("bob:b"), base("carol:c"))), "carol:c",
		},
		{"trap 50: an entry for the beginning of a name is none", "ghcr.io/acme/mcp", dockerOptions(entry("ghcr.io/ac", "bob:b")), ""},
		{"trap 50: the first config wins", "ghcr.io/acme/mcp", dockerOptions(entry("ghcr.io", "bob:b"), entry("ghcr.io", "carol:c")), "bob:b"},
		{"trap 50: the second serves where the first knows nothing", "ghcr.io/acme/mcp", dockerOptions(`{"auths":{"ghcr.io":{}}}`, entry("ghcr.io", "carol:c")), "carol:c"},
		{
			"trap 50: credentials that were given come before all configs", "ghcr.io/acme/mcp",
			registry.Options{Credentials: alice(), DockerConfigs: dockerOptions(entry("ghcr.io", "bob:b")).DockerConfigs},
			"alice:" + password,
		},
		{"trap 50: a helper", "ghcr.io/acme/mcp", withHelper(t, `{"credHelpers":{"ghcr.io":"test"}}`, `read s; echo "{\"Username\":\"$s\",\"Secret\":\"h\"}"`), "ghcr.io:h"},
		{"trap 50: a helper for docker.io is asked for its old key", "acme/mcp", withHelper(t, `{"credsStore":"test"}`, `read s; echo "{\"Username\":\"u\",\"Secret\":\"$s\"}"`), "u:https://index.docker.io/v1/"},
		{"trap 50: credHelpers come before credsStore", "ghcr.io/acme/mcp", withHelper(t, `{"credsStore":"missing","credHelpers":{"ghcr.io":"test"}}`, `echo '{"Username":"u","Secret":"h"}'`), "u:h"},
		{
			"trap 50: a missing helper is skipped", "ghcr.io/acme/mcp",
			withHelper(t, fmt.Sprintf(`{"credHelpers":{"ghcr.io":"missing"},"auths":{"ghcr.io":{"auth":%q}}}`, base("bob:b")), `exit 1`), "bob:b",
		},
		{"trap 50: a helper whose name is a path is skipped", "ghcr.io/acme/mcp", withHelper(t, `{"credsStore":"x/../test"}`, `echo '{"Username":"u","Secret":"h"}'`), ""},
		{"trap 50: a helper that knows nothing is skipped", "ghcr.io/acme/mcp", withHelper(t, `{"credsStore":"test"}`, `echo credentials not found in native keychain; exit 1`), ""},
		{"trap 50: a helper that fails is skipped", "ghcr.io/acme/mcp", withHelper(t, `{"credsStore":"test"}`, `echo no keychain; exit 3`), ""},
		{"trap 50: a helper that fails after an answer is skipped", "ghcr.io/acme/mcp", withHelper(t, `{"credsStore":"test"}`, `echo '{"Username":"u","Secret":"hush"}'; exit 3`), ""},
		{"trap 50: a helper that talks nonsense is skipped", "ghcr.io/acme/mcp", withHelper(t, `{"credsStore":"test"}`, `echo nonsense`), ""},
		{"trap 50: a helper that talks too much is skipped", "ghcr.io/acme/mcp", withHelper(t, `{"credsStore":"test"}`, `head -c 2000000 /dev/zero | tr "\\0" " "; echo '{"Username":"u","Secret":"h"}'`), ""},
		{"trap 50: a helper has the environment that it is given", "ghcr.io/acme/mcp", withHelper(t, `{"credsStore":"test"}`, `echo "{\"Username\":\"u\",\"Secret\":\"$FOR_HELPER\"}"`), "u:yes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			n, f := newNetwork(), newFake()
			f.keep(t, "latest", newImage(t, amd64, "layer"))
			var got string
			f.hook = func(w http.ResponseWriter, r *http.Request) bool {
				w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
				if user, pass, ok := r.BasicAuth(); ok {
					got = user + ":" + pass
				} else if r.URL.Path == "/v2/" {
					w.WriteHeader(http.StatusUnauthorized)
					return true
				}
				return false
			}
			for _, address := range []string{"ghcr.io:443", "ghcr.io:8443", "index.docker.io:443"} {
				n.serveTLS(t, address, f)
			}
			var log journal
			tt.opts.Log = log.logger()
			mustResolve(t, newClient(t, n, tt.opts), tt.ref)
			if got != tt.want {
				t.Errorf("the registry was told %q, want %q; log:\n%s", got, tt.want, log.String())
			}
			for _, secret := range []string{password, "hush"} {
				if strings.Contains(log.String(), secret) {
					t.Errorf("a credential stands in the log:\n%s", log.String())
				}
			}
		})
	}
}

// withHelper returns options with a config, and with a helper "test" that is a
// shell script.
func withHelper(t *testing.T, config, script string) registry.Options {
	t.Helper()
	dir := t.TempDir()
	program := "#!/bin/sh\n[ \"$1\" = get ] || exit 9\n" + script + "\n"
	// No child may be started meanwhile: it would inherit the descriptor that
	// writes, and the helper would be busy (https://go.dev/issue/22315).
	syscall.ForkLock.RLock()
	err := os.WriteFile(filepath.Join(dir, "docker-credential-test"), []byte(program), 0o700)
	syscall.ForkLock.RUnlock()
	if err != nil {
		t.Fatal(err)
	}
	opts := dockerOptions(config)
	opts.Environ = []string{"FOR_HELPER=yes", "PATH=relative:" + dir + ":/usr/bin:/bin"}
	return opts
}

func TestHelperIdentityToken(t *testing.T) {
	t.Parallel()
	n, f := newNetwork(), newFake()
	f.keep(t, "latest", newImage(t, amd64, "layer"))
	f.hook = requireBearer(bearer, is("good"))
	server := &tokens{answer: giving(`{"access_token":"good"}`)}
	n.serveTLS(t, "ghcr.io:443", f)
	n.serveTLS(t, "auth.example.com:443", server)
	mustResolve(t, newClient(t, n, withHelper(t, `{"credsStore":"test"}`, `echo '{"Username":"<token>","Secret":"refresh"}'`)), "ghcr.io/acme/mcp")
	if got := server.asked[0].Form.Get("refresh_token"); got != "refresh" {
		t.Errorf("trap 50: the token server was given %q, want the helper's identity token", got)
	}
}

func TestUnreadableEntries(t *testing.T) {
	t.Parallel()
	for name, auth := range map[string]string{"no base64": "%%%", "no colon": base("bob")} {
		t.Run("trap 50: auth with "+name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := newClient(t, newNetwork(), dockerOptions(fmt.Sprintf(`{"auths":{"ghcr.io":{"auth":%q}}}`, auth)))
				_, err := c.Resolve(t.Context(), parse(t, "ghcr.io/acme/mcp"), amd64)
				wantError(t, err, `cannot resolve ghcr.io/acme/mcp: the Docker configuration "/config.json" is unreadable: the entry "ghcr.io": its "auth" is not the base64 of user:password`, "")
				if _, ok := errors.AsType[*registry.DockerConfigError](err); !ok {
					t.Errorf("%v is no DockerConfigError", err)
				}
			})
		})
	}
}

func TestUnreadableDockerConfigs(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, config, want string }{
		{"a string in the place of all entries", `{"auths":"x"}`, `its "auths" is of type string, which does not belong there`},
		{"a number in the place of a password, which is not shown", `{"auths":{"ghcr.io":{"password":12345678}}}`, `is of type number, which does not belong there`},
		{"no object at all", `[]`, "its content is of type array, not an object"},
		{"no JSON", `hush`, "not JSON"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := registry.New(dockerOptions(`{}`, test.config))
			wantError(t, err, `the Docker configuration "/config.json" is unreadable: `, "")
			wantError(t, err, test.want, "")
			for _, not := range []string{"registry.", "struct", "Go ", "12345678", "hush"} {
				if strings.Contains(err.Error(), not) {
					t.Errorf("%v says %q", err, not)
				}
			}
		})
	}
}
