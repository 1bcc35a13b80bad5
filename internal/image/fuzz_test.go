package image_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/drengskapur/fastmcp-runner/internal/image"
)

// amd64 is asked for in tests, whatever machine they run on.
var amd64 = v1.Platform{OS: "linux", Architecture: "amd64", Variant: "v1"}

// FuzzParseManifest: a manifest is an image or an index or an error, and what is
// taken from it is fit to be fetched.
func FuzzParseManifest(f *testing.F) {
	const digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	f.Add([]byte(`{"schemaVersion":2,"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"`+digest+`","size":1},`+
		`"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"`+digest+`","size":0}]}`), "")
	f.Add([]byte(`{"schemaVersion":2,"manifests":[{"digest":"`+digest+`","platform":{"os":"linux","architecture":"amd64","variant":"v1"}}]}`), "application/vnd.oci.image.index.v1+json")
	f.Add([]byte(`{"schemaVersion":1,"fsLayers":[]}`), "application/vnd.docker.distribution.manifest.v1+prettyjws")
	f.Fuzz(func(t *testing.T, body []byte, mediaType string) {
		layers, chosen, err := image.ParseFor(body, types.MediaType(mediaType), amd64)
		if err != nil {
			if utf8.ValidString(mediaType) && !utf8.ValidString(err.Error()) {
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
		got, err := image.ParseConfig(body)
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
