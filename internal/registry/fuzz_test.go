package registry_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"

	"github.com/drengskapur/fastmcp-runner/internal/registry"
)

func TestParseChallenges(t *testing.T) {
	t.Parallel()
	type params = map[string]string
	tests := []struct {
		name, header string
		want         []registry.Challenge
	}{
		{"trap 43: one", `Bearer realm="https://a/t",service="s"`, []registry.Challenge{{"bearer", params{"realm": "https://a/t", "service": "s"}}}},
		{"trap 43: two", `Basic realm="x", Bearer realm="y",scope="a:b:c,d"`, []registry.Challenge{{"basic", params{"realm": "x"}}, {"bearer", params{"realm": "y", "scope": "a:b:c,d"}}}},
		{"trap 43: without quotes", `Bearer realm=https://a/t?x=y,service=s`, []registry.Challenge{{"bearer", params{"realm": "https://a/t?x=y", "service": "s"}}}},
		{"escapes", `Basic realm="a\"b\\c"`, []registry.Challenge{{"basic", params{"realm": `a"b\c`}}}},
		{"spaces around the equals sign", `BASIC Realm = "x"`, []registry.Challenge{{"basic", params{"realm": "x"}}}},
		{"no parameters", `Negotiate`, []registry.Challenge{{"negotiate", params{}}}},
		{"a token in place of parameters", `Negotiate YII==`, []registry.Challenge{{"negotiate", params{"yii": "="}}}},
		{"no closing quote", `Basic realm="x`, []registry.Challenge{{"basic", params{"realm": "x"}}}},
		{"a parameter of nothing", `realm="x"`, nil},
		{"nothing", ``, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, registry.ParseChallenges(tt.header)); diff != "" {
				t.Errorf("ParseChallenges(%q) (-want +got):\n%s", tt.header, diff)
			}
		})
	}
}

// FuzzParseChallenges: what was understood is understood again when it is written
// in the canonical form.
func FuzzParseChallenges(f *testing.F) {
	f.Add(`Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull"`)
	f.Add(`Basic realm="a\"b", Negotiate YII=, Bearer realm=x`)
	f.Fuzz(func(t *testing.T, header string) {
		got := registry.ParseChallenges(header)
		if diff := cmp.Diff(got, registry.ParseChallenges(canonical(got))); diff != "" {
			t.Errorf("ParseChallenges(%q), written anew (-first +second):\n%s", header, diff)
		}
	})
}

func canonical(list []registry.Challenge) string {
	escape := strings.NewReplacer(`\`, `\\`, `"`, `\"`)
	var b strings.Builder
	for _, c := range list {
		b.WriteString(c.Scheme + " ")
		for key, value := range c.Params {
			b.WriteString(key + `="` + escape.Replace(value) + `",`)
		}
		b.WriteString(", ")
	}
	return b.String()
}

// FuzzDockerConfig: credentials are only ever given to a repository whose registry
// the config names.
func FuzzDockerConfig(f *testing.F) {
	f.Add([]byte(`{"auths":{"ghcr.io":{"auth":"Ym9iOmI="}}}`))
	f.Add([]byte(`{"auths":{"https://ghcr.io/v2/":{"username":"bob","password":"b"}},"credsStore":"x"}`))
	f.Add([]byte(`{"auths":{"ghcr.io/acme":{"auth":"Ym9i"}},"credHelpers":{"ghcr.io":"../x"}}`))
	repo, err := name.NewRepository("ghcr.io/acme/mcp")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, config []byte) {
		user, pass, err := registry.DockerLogin(config, repo)
		if err != nil && (user != "" || pass != "") {
			t.Errorf("credentials and the error %v", err)
		}
		named := strings.Contains(strings.ToLower(string(config)), "ghcr.io") || strings.Contains(string(config), `\`)
		if user != "" && !named {
			t.Errorf("%q was given to a registry that the config does not name", user)
		}
	})
}
