package registry_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

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

// FuzzParseManifest: a manifest is an image or an index or an error, and what is
// taken from it is fit to be fetched.
func FuzzParseManifest(f *testing.F) {
	const digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	f.Add([]byte(`{"schemaVersion":2,"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"`+digest+`","size":1},`+
		`"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"`+digest+`","size":0}]}`), "")
	f.Add([]byte(`{"schemaVersion":2,"manifests":[{"digest":"`+digest+`","platform":{"os":"linux","architecture":"amd64","variant":"v1"}}]}`), "application/vnd.oci.image.index.v1+json")
	f.Add([]byte(`{"schemaVersion":1,"fsLayers":[]}`), "application/vnd.docker.distribution.manifest.v1+prettyjws")
	f.Fuzz(func(t *testing.T, body []byte, contentType string) {
		layers, chosen, err := registry.ParseManifest(body, contentType, amd64)
		if err != nil {
			if utf8.ValidString(contentType) && !utf8.ValidString(err.Error()) {
				t.Errorf("the error %q is not UTF-8", err)
			}
			return
		}
		for _, layer := range layers {
			if layer.Size < 0 || !strings.HasPrefix(string(layer.MediaType), "application/vnd.") {
				t.Errorf("took the layer %+v", layer)
			}
		}
		if chosen != nil && chosen.Platform != nil && (chosen.Platform.OS != "linux" || chosen.Platform.Architecture != "amd64") {
			t.Errorf("chose %s for %s", chosen.Platform, amd64)
		}
	})
}

// FuzzParseConfig: whatever go-containerregistry reads is read, and alike.
func FuzzParseConfig(f *testing.F) {
	f.Add([]byte(`{"created":"not a date","os":"linux","architecture":"x86_64","config":{"Entrypoint":"/app/x","Cmd":["a"],"ExposedPorts":{"1/tcp":{}}}}`))
	f.Add([]byte(`{"rootfs":{"type":"layers","diff_ids":[]},"config":{"Env":["A=1"],"User":"1:1","WorkingDir":"/x","StopSignal":"SIGINT"}}`))
	f.Add([]byte(`{"config":{"Cmd":null,"ExposedPorts":[]}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := registry.ParseConfig(body)
		var file v1.ConfigFile
		if json.Unmarshal(body, &file) != nil {
			return
		}
		if err != nil {
			t.Fatalf("ParseConfig(%q) = %v, which go-containerregistry reads", body, err)
		}
		c := file.Config
		if diff := cmp.Diff([]any{c.Env, c.Entrypoint, c.Cmd, c.User, c.WorkingDir, c.StopSignal},
			[]any{got.Env, got.Entrypoint, got.Cmd, got.User, got.WorkingDir, got.StopSignal}); diff != "" {
			t.Errorf("ParseConfig(%q) (-go-containerregistry +got):\n%s", body, diff)
		}
	})
}
