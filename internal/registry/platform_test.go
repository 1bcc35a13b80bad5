package registry_test

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/drengskapur/fastmcp-runner/internal/registry"
)

func platform(t *testing.T, s string) v1.Platform {
	t.Helper()
	p, err := v1.ParsePlatform(s)
	if err != nil {
		t.Fatal(err)
	}
	return *p
}

func TestPlatforms(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, want string
		offered    []string // "-": a descriptor without a platform.
		chosen     string
		err        string
	}{
		{"trap 42: the architecture decides", "linux/arm64", []string{"linux/amd64", "linux/arm64"}, "linux/arm64", ""},
		{"trap 42: the operating system decides", "linux/amd64/v1", []string{"windows/amd64:10.0", "linux/amd64"}, "linux/amd64", ""},
		{"trap 42: attestations are no images", "linux/amd64/v1", []string{"unknown/unknown", "linux/amd64"}, "linux/amd64", ""},
		{"trap 42: the best variant that runs", "linux/amd64/v3", []string{"linux/amd64", "linux/amd64/v2", "linux/amd64/v3", "linux/amd64/v4"}, "linux/amd64/v3", ""},
		{"trap 42: whatever their order", "linux/amd64/v3", []string{"linux/amd64/v4", "linux/amd64/v3", "linux/amd64/v2"}, "linux/amd64/v3", ""},
		{"trap 42: a lesser one, if there is no better", "linux/amd64/v4", []string{"linux/amd64/v2"}, "linux/amd64/v2", ""},
		{"trap 42: arm64 means arm64/v8", "linux/arm64/v8", []string{"linux/arm64"}, "linux/arm64", ""},
		{"trap 42: and the reverse", "linux/arm64", []string{"linux/arm64/v8"}, "linux/arm64/v8", ""},
		{"trap 42: versions below a variant count", "linux/arm64/v8.2", []string{"linux/arm64/v8.1", "linux/arm64/v8.2", "linux/arm64/v9"}, "linux/arm64/v8.2", ""},
		{"trap 42: 32-bit arm means v7", "linux/arm", []string{"linux/arm/v5", "linux/arm/v7", "linux/arm/v6"}, "linux/arm/v7", ""},
		{"trap 42: of equal ones the first", "linux/amd64/v1", []string{"linux/amd64", "linux/amd64/v1"}, "linux/amd64", ""},
		{"trap 42: variants that have no order must be equal", "linux/ppc64le/power9", []string{"linux/ppc64le/power8", "linux/ppc64le/power9"}, "linux/ppc64le/power9", ""},
		{"trap 42: no platform is the last resort", "linux/amd64/v1", []string{"-", "linux/amd64"}, "linux/amd64", ""},
		{"trap 42: but better than none", "linux/amd64/v1", []string{"linux/arm64", "-"}, "linux/amd64/v1", ""},
		{"trap 42: the kernel's name for an architecture", "linux/amd64/v1", []string{"linux/aarch64", "linux/x86_64"}, "linux/amd64", ""},
		{"trap 42: in any spelling", "linux/amd64/v1", []string{"Linux/X86-64"}, "linux/amd64", ""},
		{"trap 42: aarch64 means arm64", "linux/arm64", []string{"linux/amd64", "linux/aarch64"}, "linux/arm64", ""},
		{"trap 42: also where it is asked for", "linux/aarch64", []string{"linux/amd64", "linux/arm64"}, "linux/arm64", ""},
		{"trap 42: i386 means 386", "linux/386", []string{"linux/amd64", "linux/i386"}, "linux/386", ""},
		{"trap 42: armhf means arm/v7", "linux/arm/v7", []string{"linux/armel", "linux/armhf"}, "linux/arm/v7", ""},
		{"trap 42: armel means arm/v6", "linux/arm/v6", []string{"linux/armhf", "linux/armel"}, "linux/arm/v6", ""},
		{
			"trap 42: no match lists what there is", "linux/amd64/v1",
			[]string{"linux/s390x", "linux/arm64/v8", "unknown/unknown", "linux/arm64/v8"},
			"",
			"the image has nothing for linux/amd64/v1, only for linux/arm64/v8, linux/s390x",
		},
		{"trap 42: a variant that this machine does not run", "linux/amd64/v1", []string{"linux/amd64/v3"}, "", "only for linux/amd64/v3"},
		{"trap 42: nothing but attestations", "linux/amd64/v1", []string{"unknown/unknown"}, "", "its index lists no image at all"},
		{"trap 42: an empty index", "linux/amd64/v1", nil, "", "its index lists no image at all"},
		{"what came from outside is quoted", "linux/amd64/v1", []string{"linux/\x1b[31m"}, "", `only for "linux/\x1b[31m"`},
		{"a long list is cut", "linux/amd64/v1", many(30), "", "linux/a19 and 10 more"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n, f := newNetwork(), newFake()
				f.keepIndex(t, "latest", offer(t, f, tt.offered)...)
				n.serveTLS(t, "ghcr.io:443", f)
				img, err := newClient(t, n, registry.Options{}).Resolve(t.Context(), parse(t, "ghcr.io/acme/mcp"), platform(t, tt.want))
				if tt.err != "" {
					wantError(t, err, tt.err, "")
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				if img.Platform.String() != tt.chosen {
					t.Errorf("chose %s, want %s", img.Platform, tt.chosen)
				}
			})
		})
	}
}

func many(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("linux/a%02d", i)
	}
	return list
}

// offer keeps an image for each platform.
func offer(t *testing.T, f *fake, platforms []string) []v1.Descriptor {
	t.Helper()
	descriptors := make([]v1.Descriptor, len(platforms))
	for i, s := range platforms {
		p := amd64
		if s != "-" {
			p = platform(t, s)
		}
		descriptors[i] = f.keep(t, s, newImage(t, p, s))
		if s != "-" {
			descriptors[i].Platform = &p
		}
	}
	return descriptors
}

func TestAttestationByAnnotation(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, f := newNetwork(), newFake()
		offered := offer(t, f, []string{"linux/amd64", "linux/amd64/v1"})
		offered[0].Annotations = map[string]string{"vnd.docker.reference.type": "attestation-manifest"}
		f.keepIndex(t, "latest", offered...)
		n.serveTLS(t, "ghcr.io:443", f)
		if img := mustResolve(t, newClient(t, n, registry.Options{}), "ghcr.io/acme/mcp"); img.Platform.Variant != "v1" {
			t.Errorf("trap 42: chose %s, which is an attestation", img.Platform)
		}
	})
}

func TestIndexOverrulesConfig(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, f := newNetwork(), newFake()
		d := f.keep(t, "child", newImage(t, platform(t, "linux/arm64"), "layer"))
		d.Platform = &amd64
		f.keepManifest(t, "latest", types.DockerManifestList, mustJSON(t, v1.IndexManifest{
			SchemaVersion: 2, MediaType: types.DockerManifestList, Manifests: []v1.Descriptor{d},
		}))
		n.serveTLS(t, "ghcr.io:443", f)
		if img := mustResolve(t, newClient(t, n, registry.Options{}), "ghcr.io/acme/mcp"); img.Platform.Architecture != "amd64" {
			t.Errorf("trap 42: platform %s, want what the index says", img.Platform)
		}
	})
}

func TestThisMachine(t *testing.T) {
	t.Parallel()
	want := "linux/arm64/v8"
	if runtime.GOARCH == "amd64" {
		want = fmt.Sprintf("linux/amd64/v%d", levelByProc(t))
	}
	synctest.Test(t, func(t *testing.T) {
		n, f := newNetwork(), newFake()
		f.keepIndex(t, "latest", offer(t, f, []string{
			"linux/amd64", "linux/amd64/v1", "linux/amd64/v2", "linux/amd64/v3", "linux/amd64/v4", "linux/arm64/v8", "linux/arm64/v9",
		})...)
		n.serveTLS(t, "ghcr.io:443", f)
		c := newClient(t, n, registry.Options{})
		for _, asked := range []v1.Platform{{}, {OS: runtime.GOOS, Architecture: runtime.GOARCH}} {
			img, err := c.Resolve(t.Context(), parse(t, "ghcr.io/acme/mcp"), asked)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Replace(img.Platform.String(), "linux/amd64/v1", "linux/amd64", 1); got != strings.Replace(want, "linux/amd64/v1", "linux/amd64", 1) {
				t.Errorf("trap 42: for %q chose %s, want %s", asked, got, want)
			}
		}
	})
}

// levelByProc derives the microarchitecture level from the kernel's list of CPU
// flags, which is independent of the CPUID instruction that the package uses.
func levelByProc(t *testing.T) int {
	t.Helper()
	cpuinfo, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		t.Fatal(err)
	}
	_, flags, _ := strings.Cut(string(cpuinfo), "\nflags")
	flags, _, _ = strings.Cut(flags, "\n")
	flags += " "
	level := 1
	for i, needed := range []string{
		"cx16 lahf_lm popcnt pni sse4_1 sse4_2 ssse3",
		"avx avx2 bmi1 bmi2 f16c fma abm movbe xsave",
		"avx512f avx512bw avx512cd avx512dq avx512vl",
	} {
		for flag := range strings.FieldsSeq(needed) {
			if !strings.Contains(flags, " "+flag+" ") {
				return level
			}
		}
		level = i + 2
	}
	return level
}
