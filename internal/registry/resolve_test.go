package registry_test

import (
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	ggcr "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/drengskapur/fastmcp-runner/internal/image"
	"github.com/drengskapur/fastmcp-runner/internal/registry"
)

func TestResolveAnImageOfAnotherImplementation(t *testing.T) {
	t.Parallel()
	t.Run("config and layers arrive as they were pushed", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			n := newNetwork()
			n.serve(t, "localhost:5000", ggcr.New(ggcr.Logger(slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo))))
			pushed := randomImage(t)
			push := &http.Transport{DialContext: n.dial}
			t.Cleanup(push.CloseIdleConnections)
			ref := parse(t, "localhost:5000/acme/mcp:1.4")
			if err := remote.Write(ref, pushed, remote.WithTransport(push)); err != nil {
				t.Fatal(err)
			}
			img := mustResolve(t, newClient(t, n, registry.Options{}), "localhost:5000/acme/mcp:1.4")
			compare(t, img, pushed)
		})
	})
}

func randomImage(t *testing.T) v1.Image {
	t.Helper()
	img, err := random.Image(10_000, 3)
	if err != nil {
		t.Fatal(err)
	}
	if img, err = mutate.Config(img, v1.Config{Entrypoint: []string{"/app/server"}, WorkingDir: "/app"}); err != nil {
		t.Fatal(err)
	}
	return img
}

// compare holds a resolved image, read to its end, against what was pushed.
func compare(t *testing.T, got *image.Image, pushed v1.Image) {
	t.Helper()
	raw, err := pushed.RawConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(raw), string(got.RawConfig)); diff != "" {
		t.Errorf("config (-pushed +got):\n%s", diff)
	}
	digest, err := pushed.Digest()
	if err != nil {
		t.Fatal(err)
	}
	if got.ManifestDigest != digest {
		t.Errorf("ManifestDigest = %s, want %s", got.ManifestDigest, digest)
	}
	layers, err := pushed.Layers()
	if err != nil {
		t.Fatal(err)
	}
	if len(layers) != len(got.Layers) {
		t.Fatalf("%d layers, want %d", len(got.Layers), len(layers))
	}
	for i, layer := range layers {
		content, err := readLayer(t, got.Layers[i])
		if err != nil {
			t.Fatal(err)
		}
		want, err := layer.Digest()
		if err != nil {
			t.Fatal(err)
		}
		if digestOf(t, []byte(content)) != want || got.Layers[i].Descriptor().Digest != want {
			t.Errorf("layer %d is %s, want %s", i, got.Layers[i].Descriptor().Digest, want)
		}
	}
}

func TestUserAgent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, f := newNetwork(), newFake()
		f.keep(t, "latest", newImage(t, amd64, "layer"))
		n.serveTLS(t, "ghcr.io:443", f)
		mustResolve(t, newClient(t, n, registry.Options{UserAgent: "runner/1"}), "ghcr.io/acme/mcp")
		for _, r := range f.requests {
			if got := r.UserAgent(); got != "runner/1" {
				t.Errorf("%s was asked by %q", r.URL.Path, got)
			}
		}
	})
}

func TestReferences(t *testing.T) {
	t.Parallel()
	digest := "sha256:" + strings.Repeat("a", 64)
	tests := []struct{ name, ref, address, path string }{
		{"trap 41: a bare name is of docker.io's library", "nginx", "index.docker.io:443", "/v2/library/nginx/manifests/latest"},
		{"trap 41: docker.io is the same registry by its alias", "docker.io/library/nginx", "index.docker.io:443", "/v2/library/nginx/manifests/latest"},
		{"trap 41: two parts are of docker.io", "org/repo", "index.docker.io:443", "/v2/org/repo/manifests/latest"},
		{"trap 41: a port makes a registry", "localhost:5000/x", "localhost:5000", "/v2/x/manifests/latest"},
		{"trap 41: an IPv6 registry", "[::1]:5000/x", "[::1]:5000", "/v2/x/manifests/latest"},
		{"trap 41: an upper-case host is the same host", "GHCR.IO/acme/x", "ghcr.io:443", "/v2/acme/x/manifests/latest"},
		{"trap 41: a dot makes a registry", "a.b/c", "a.b:443", "/v2/c/manifests/latest"},
		{"trap 41: tag and digest asks for the digest", "a.b/c:tag@" + digest, "a.b:443", "/v2/c/manifests/" + digest},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n, f := newNetwork(), newFake()
				n.serveTLS(t, tt.address, f)
				_, err := newClient(t, n, registry.Options{}).Resolve(t.Context(), parse(t, tt.ref), amd64)
				wantError(t, err, "cannot resolve "+tt.ref+": no such ", "")
				if f.seen(tt.path) != 1 {
					t.Errorf("%s was not asked for at %s", tt.path, tt.address)
				}
			})
		})
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, ref    string
		status       int
		code, msg    string
		want, hinted string
	}{
		{
			"trap 44: a missing tag", "ghcr.io/acme/mcp:1.4", 404, "MANIFEST_UNKNOWN", "manifest unknown",
			"cannot resolve ghcr.io/acme/mcp:1.4: no such tag (the registry says MANIFEST_UNKNOWN)", "",
		},
		{
			"trap 44: a missing image", "ghcr.io/acme/mcp:1.4", 404, "NAME_UNKNOWN", "repository name not known",
			"cannot resolve ghcr.io/acme/mcp:1.4: no such image (the registry says NAME_UNKNOWN)", "",
		},
		{
			"trap 44: a missing digest", "ghcr.io/acme/mcp@sha256:" + strings.Repeat("a", 64), 404, "MANIFEST_UNKNOWN", "",
			": no such digest (the registry says MANIFEST_UNKNOWN)", "",
		},
		{
			"trap 44: a private image", "ghcr.io/acme/mcp:1.4", 403, "DENIED", "requested access is denied",
			`cannot resolve ghcr.io/acme/mcp:1.4: access denied (the registry says DENIED: "requested access is denied")`,
			"private images need REGISTRY_USER and REGISTRY_PASSWORD",
		},
		{
			"an error code that is none is quoted", "ghcr.io/acme/mcp:1.4", 403, "\x1b[31m", "",
			`(the registry says "\x1b[31m")`, "",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n, f := newNetwork(), newFake()
				f.hook = func(w http.ResponseWriter, r *http.Request) bool {
					if r.URL.Path == "/v2/" {
						return false
					}
					w.WriteHeader(tt.status)
					_, _ = w.Write(mustJSON(t, map[string][]map[string]string{"errors": {{"code": tt.code, "message": tt.msg}}}))
					return true
				}
				n.serveTLS(t, "ghcr.io:443", f)
				_, err := newClient(t, n, registry.Options{}).Resolve(t.Context(), parse(t, tt.ref), amd64)
				wantError(t, err, tt.want, tt.hinted)
			})
		})
	}
}

func TestManifests(t *testing.T) {
	t.Parallel()
	good := newImage(t, amd64, "layer")
	tests := []struct {
		name        string
		contentType types.MediaType
		body        func(m v1.Manifest) string
		want        string // "": it resolves.
	}{
		{"an image manifest", types.OCIManifestSchema1, plainJSON(t), ""},
		{"trap 48: no Content-Type and no mediaType", "", func(m v1.Manifest) string { m.MediaType = ""; return plainJSON(t)(m) }, ""},
		{"trap 48: a Content-Type that says nothing", "text/plain; charset=utf-8", plainJSON(t), ""},
		{
			"trap 48: schema 1", types.DockerManifestSchema1Signed,
			func(v1.Manifest) string { return `{"schemaVersion":1,"fsLayers":[],"history":[]}` },
			"image manifests of schema 1 are not supported",
		},
		{
			"image manifest and index at once (CVE-2021-41190)", types.OCIManifestSchema1,
			func(m v1.Manifest) string {
				return strings.Replace(plainJSON(t)(m), "{", `{"manifests":[],`, 1)
			},
			"the manifest is both an image manifest and an index",
		},
		{"neither of the two", "application/json", func(v1.Manifest) string { return `{}` }, `not a runnable image: the manifest is of type "application/json"`},
		{"no JSON", types.OCIManifestSchema1, func(v1.Manifest) string { return `<html>` }, "the manifest is unreadable"},
		{"trailing bytes", types.OCIManifestSchema1, func(m v1.Manifest) string { return plainJSON(t)(m) + "{}" }, "the manifest is unreadable"},
		{
			"a digest of an unknown algorithm", types.OCIManifestSchema1,
			func(m v1.Manifest) string { return strings.ReplaceAll(plainJSON(t)(m), "sha256:", "md5:") },
			"the manifest is unreadable",
		},
		{
			"larger than the limit", types.OCIManifestSchema1,
			func(m v1.Manifest) string { return plainJSON(t)(m) + strings.Repeat(" ", image.MaxManifestBytes) },
			"the answer is larger than 4194304 bytes",
		},
		{
			"a negative layer size", types.OCIManifestSchema1,
			func(m v1.Manifest) string { m.Layers = clone(m.Layers); m.Layers[0].Size = -1; return plainJSON(t)(m) },
			"claims a size of -1 bytes",
		},
		{
			"a config larger than the limit", types.OCIManifestSchema1,
			func(m v1.Manifest) string { m.Config.Size = image.MaxConfigBytes + 1; return plainJSON(t)(m) },
			"the image config has 8388609 bytes, where 8388608 are the most that is read",
		},
		{
			"trap 31: a Helm chart", types.OCIManifestSchema1,
			func(m v1.Manifest) string {
				m.Config.MediaType = "application/vnd.cncf.helm.config.v1+json"
				return plainJSON(t)(m)
			},
			`not a runnable image: artifactType "application/vnd.cncf.helm.config.v1+json"`,
		},
		{
			"trap 31: a model", types.OCIManifestSchema1,
			func(m v1.Manifest) string {
				m.Config.MediaType = types.OCIEmptyJSON
				m.ArtifactType = "application/vnd.docker.ai.model"
				return plainJSON(t)(m)
			},
			`not a runnable image: artifactType "application/vnd.docker.ai.model"`,
		},
		{"trap 31: a wasm module", types.OCIManifestSchema1, withLayerType(t, "application/wasm"), `not a runnable image: layer type "application/wasm"`},
		{
			"trap 31: an encrypted layer", types.OCIManifestSchema1, withLayerType(t, types.OCILayer+"+encrypted"),
			`is encrypted ("application/vnd.oci.image.layer.v1.tar+gzip+encrypted")`,
		},
		{"trap 31: a Docker layer", types.DockerManifestSchema2, withLayerType(t, types.DockerLayer), ""},
		{"trap 31: an uncompressed layer", types.OCIManifestSchema1, withLayerType(t, types.OCIUncompressedLayer), ""},
		{"trap 31: a zstd layer", types.OCIManifestSchema1, withLayerType(t, types.OCILayerZStd), ""},
		{"trap 31: a Docker zstd layer", types.OCIManifestSchema1, withLayerType(t, "application/vnd.docker.image.rootfs.diff.tar.zstd"), ""},
		{"trap 31: a foreign layer that the registry has", types.OCIManifestSchema1, withLayerType(t, types.DockerForeignLayer), ""},
		{"trap 31: a non-distributable layer that the registry has", types.OCIManifestSchema1, withLayerType(t, types.OCIRestrictedLayer), ""},
		{
			"trap 32: more layers than diffIDs", types.OCIManifestSchema1,
			func(m v1.Manifest) string { m.Layers = append(clone(m.Layers), m.Layers[0]); return plainJSON(t)(m) },
			"the image config lists 1 diffIDs for the 2 layers of the manifest",
		},
		{
			"trap 32: fewer layers than diffIDs", types.OCIManifestSchema1,
			func(m v1.Manifest) string { m.Layers = nil; return plainJSON(t)(m) },
			"the image config lists 1 diffIDs for the 0 layers of the manifest",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n, f := newNetwork(), newFake()
				f.keep(t, "other", good)
				f.keepManifest(t, "latest", tt.contentType, []byte(tt.body(good.manifest)))
				n.serveTLS(t, "ghcr.io:443", f)
				img, err := newClient(t, n, registry.Options{}).Resolve(t.Context(), parse(t, "ghcr.io/acme/mcp"), amd64)
				if tt.want != "" {
					wantError(t, err, tt.want, "")
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				if content, err := readLayer(t, img.Layers[0]); content != "layer" || err != nil {
					t.Errorf("the layer is %q, %v", content, err)
				}
			})
		})
	}
}

func plainJSON(t *testing.T) func(v1.Manifest) string {
	t.Helper()
	return func(m v1.Manifest) string { return string(mustJSON(t, m)) }
}

func withLayerType(t *testing.T, mediaType types.MediaType) func(v1.Manifest) string {
	t.Helper()
	return func(m v1.Manifest) string {
		m.Layers = clone(m.Layers)
		m.Layers[0].MediaType = mediaType
		return plainJSON(t)(m)
	}
}

func clone(d []v1.Descriptor) []v1.Descriptor {
	return append([]v1.Descriptor(nil), d...)
}

func TestConfigs(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change func(*v1.ConfigFile)
		want   string
	}{
		{"trap 32: a rootfs of another type", func(c *v1.ConfigFile) { c.RootFS.Type = "layers+base" }, `rootfs of type "layers+base", not "layers"`},
		{"trap 32: no rootfs", func(c *v1.ConfigFile) { c.RootFS = v1.RootFS{} }, `rootfs of type "", not "layers"`},
		{"trap 42: an image of the wrong platform", func(c *v1.ConfigFile) { c.Architecture = "arm64" }, "the image has nothing for linux/amd64/v1, only for linux/arm64"},
		{"trap 42: an image that does not say its platform is taken", func(c *v1.ConfigFile) { c.OS, c.Architecture = "", "" }, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n, f := newNetwork(), newFake()
				img := newImage(t, amd64)
				config := &v1.ConfigFile{OS: "linux", Architecture: "amd64", RootFS: v1.RootFS{Type: "layers"}}
				tt.change(config)
				img.setConfig(t, config)
				f.keep(t, "latest", img)
				n.serveTLS(t, "ghcr.io:443", f)
				_, err := newClient(t, n, registry.Options{}).Resolve(t.Context(), parse(t, "ghcr.io/acme/mcp"), amd64)
				if tt.want != "" {
					wantError(t, err, tt.want, "")
				} else if err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestConfigsAsWritten has configs that tools write and no Go type holds.
func TestConfigsAsWritten(t *testing.T) {
	t.Parallel()
	const rootfs = `"rootfs": {"type": "layers", "diff_ids": []}`
	tests := []struct {
		name, json string
		want       image.Config
		err        string
	}{
		{
			"what nobody needs is not read",
			`{"created": "not a date", "author": 7, "history": {"created": 3}, "container_config": [], "os.features": "x", ` +
				`"docker_version": {}, "config": {"Cmd": ["/app/server"], "Labels": [1], "Volumes": "x", "Healthcheck": 2, "OnBuild": 3}, ` + rootfs + `}`,
			image.Config{Cmd: []string{"/app/server"}},
			"",
		},
		{
			"one string is a command of one word, as for Docker",
			`{"config": {"Entrypoint": "/app/my server", "Cmd": "serve"}, ` + rootfs + `}`,
			image.Config{Entrypoint: []string{"/app/my server"}, Cmd: []string{"serve"}},
			"",
		},
		{"null is nothing", `{"os": null, "config": {"Entrypoint": null, "Cmd": null, "Env": null, "ExposedPorts": null}, ` + rootfs + `}`, image.Config{}, ""},
		{"no config at all", `{"config": null, ` + rootfs + `}`, image.Config{}, ""},
		{
			"ports are their keys", `{"config": {"ExposedPorts": {"8080/tcp": null, "53/udp": {"x": 1}}}, ` + rootfs + `}`,
			image.Config{ExposedPorts: []string{"53/udp", "8080/tcp"}},
			"",
		},
		{"ports of another type are none", `{"config": {"ExposedPorts": ["8080/tcp"]}, ` + rootfs + `}`, image.Config{}, ""},
		{"diffIDs are only counted", `{"rootfs": {"type": "layers", "diff_ids": ["md5:x"]}}`, image.Config{}, "lists 1 diffIDs for the 0 layers"},
		{
			"trap 42: the kernel's name for an architecture", `{"os": "Linux", "architecture": "x86_64", ` + rootfs + `}`,
			image.Config{Platform: v1.Platform{OS: "linux", Architecture: "amd64"}},
			"",
		},
		{"trap 42: of another machine", `{"os": "linux", "architecture": "aarch64", ` + rootfs + `}`, image.Config{}, "only for linux/arm64"},
		{"what is needed must be readable", `{"config": {"Env": "A=1"}, ` + rootfs + `}`, image.Config{}, "the image config is unreadable"},
		{"a command of numbers", `{"config": {"Cmd": [1]}, ` + rootfs + `}`, image.Config{}, "the image config is unreadable"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n, f := newNetwork(), newFake()
				img := newImage(t, amd64)
				img.manifest.Config = img.add(t, types.OCIConfigJSON, []byte(tt.json))
				f.keep(t, "latest", img)
				n.serveTLS(t, "ghcr.io:443", f)
				got, err := newClient(t, n, registry.Options{}).Resolve(t.Context(), parse(t, "ghcr.io/acme/mcp"), amd64)
				if tt.err != "" {
					wantError(t, err, tt.err, "")
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(tt.want, *got.Config, cmpopts.IgnoreUnexported(image.Config{})); diff != "" {
					t.Errorf("config (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestWrongDigests(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		corrupt func(f *fake, index, child v1.Descriptor, img *draft)
		byTag   bool
		want    string
	}{
		{"trap 29: an index that is not what the reference says", func(f *fake, index, _ v1.Descriptor, _ *draft) { f.flip(index.Digest) }, false, "expected sha256:"},
		{"trap 29: a manifest that is not what the index says", func(f *fake, _, child v1.Descriptor, _ *draft) { f.flip(child.Digest) }, true, "expected sha256:"},
		{"trap 29: a config that is not what the manifest says", func(f *fake, _, _ v1.Descriptor, img *draft) { f.flip(img.manifest.Config.Digest) }, true, "expected sha256:"},
		{
			"trap 29: a config of another size",
			func(f *fake, _, _ v1.Descriptor, img *draft) {
				f.blobs[img.manifest.Config.Digest.String()] = []byte("{}")
			}, true, "has 2 bytes, where its descriptor says",
		},
		{"trap 48: a wrong digest header is of no consequence", func(f *fake, _, _ v1.Descriptor, _ *draft) {
			f.hook = func(w http.ResponseWriter, _ *http.Request) bool {
				w.Header().Set("Docker-Content-Digest", "sha256:"+strings.Repeat("0", 64))
				return false
			}
		}, true, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n, f := newNetwork(), newFake()
				img := newImage(t, amd64, "layer")
				child := f.keep(t, "child", img)
				index := f.keepIndex(t, "latest", child)
				tt.corrupt(f, index, child, img)
				n.serveTLS(t, "ghcr.io:443", f)
				ref := "ghcr.io/acme/mcp:latest"
				if !tt.byTag {
					ref = "ghcr.io/acme/mcp@" + index.Digest.String()
				}
				got, err := newClient(t, n, registry.Options{}).Resolve(t.Context(), parse(t, ref), amd64)
				if tt.want != "" {
					wantError(t, err, tt.want, "")
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				if got.Digest != index.Digest || got.ManifestDigest != child.Digest {
					t.Errorf("resolved to %s and %s, want %s and %s", got.Digest, got.ManifestDigest, index.Digest, child.Digest)
				}
			})
		})
	}
}

// flip changes one bit of what is kept under a digest.
func (f *fake) flip(digest v1.Hash) {
	if m, ok := f.manifests[digest.String()]; ok {
		f.manifests[digest.String()] = manifest{m.mediaType, flipped(m.body)}
		return
	}
	f.blobs[digest.String()] = flipped(f.blobs[digest.String()])
}

func flipped(b []byte) []byte {
	b = append([]byte(nil), b...)
	b[len(b)/2] ^= 1
	return b
}

func TestNestedIndexes(t *testing.T) {
	t.Parallel()
	t.Run("an index in an index is followed", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			n, f := newNetwork(), newFake()
			f.keepIndex(t, "latest", f.keepIndex(t, "inner", f.keep(t, "child", newImage(t, amd64, "layer"))))
			n.serveTLS(t, "ghcr.io:443", f)
			mustResolve(t, newClient(t, n, registry.Options{}), "ghcr.io/acme/mcp")
		})
	})
	t.Run("too many are an error", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			n, f := newNetwork(), newFake()
			d := f.keep(t, "child", newImage(t, amd64, "layer"))
			for range 5 {
				d = f.keepIndex(t, "latest", d)
			}
			n.serveTLS(t, "ghcr.io:443", f)
			_, err := newClient(t, n, registry.Options{}).Resolve(t.Context(), parse(t, "ghcr.io/acme/mcp"), amd64)
			wantError(t, err, "more than 4 indexes lie one in another", "")
		})
	})
}

func TestEmptyImage(t *testing.T) {
	t.Parallel()
	raw, err := empty.Image.RawConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	t.Run("trap 32: an image without layers resolves", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			n, f := newNetwork(), newFake()
			img := newImage(t, amd64)
			img.manifest.Config = img.add(t, types.DockerConfigJSON, raw)
			f.keep(t, "latest", img)
			n.serveTLS(t, "ghcr.io:443", f)
			if got := mustResolve(t, newClient(t, n, registry.Options{}), "ghcr.io/acme/mcp"); len(got.Layers) != 0 {
				t.Errorf("%d layers, want none", len(got.Layers))
			}
		})
	})
}
