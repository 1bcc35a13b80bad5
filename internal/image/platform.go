package image

import (
	"cmp"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sys/cpu"

	"github.com/drengskapur/fastmcp-runner/internal/hint"
)

// maxListedPlatforms bounds the error that lists what an index offers.
const maxListedPlatforms = 20

// attestation marks what BuildKit adds to an index beside the images.
const attestation = "vnd.docker.reference.type"

// normalized returns p with the names that the OCI image index has for it, as
// containerd's platforms.Normalize knows the others. Variants stay: their levels
// are compared.
func normalized(p v1.Platform) v1.Platform {
	p.OS, p.Architecture, p.Variant = strings.ToLower(p.OS), strings.ToLower(p.Architecture), strings.ToLower(p.Variant)
	switch p.Architecture {
	case "i386":
		p.Architecture, p.Variant = "386", ""
	case "x86_64", "x86-64":
		p.Architecture = "amd64"
	case "aarch64":
		p.Architecture = "arm64"
	case "armhf":
		p.Architecture, p.Variant = "arm", "v7"
	case "armel":
		p.Architecture, p.Variant = "arm", "v6"
	}
	return p
}

// completed returns the platform to look for: the running machine in place of
// the zero value, and its variant in place of one that was left out.
func completed(want v1.Platform) v1.Platform {
	want = normalized(want)
	here := v1.Platform{OS: runtime.GOOS, Architecture: runtime.GOARCH, Variant: machineVariant()}
	if want.OS == "" && want.Architecture == "" {
		return here
	}
	if want.OS == here.OS && want.Architecture == here.Architecture && want.Variant == "" {
		want.Variant = here.Variant
	}
	return want
}

// machineVariant returns the best variant that this machine runs, or "" where
// variants say nothing.
func machineVariant() string {
	switch runtime.GOARCH {
	case "amd64":
		return "v" + strconv.Itoa(amd64Level())
	case "arm64":
		return "v8"
	default:
		return ""
	}
}

// amd64Level returns the microarchitecture level of this CPU: x86-64 psABI,
// section 3.1.1.
func amd64Level() int {
	x := &cpu.X86
	v2 := x.HasCX16 && x.HasLAHF && x.HasPOPCNT && x.HasSSE3 && x.HasSSE41 && x.HasSSE42 && x.HasSSSE3
	v3 := v2 && x.HasAVX && x.HasAVX2 && x.HasBMI1 && x.HasBMI2 && x.HasF16C && x.HasFMA && x.HasLZCNT &&
		x.HasMOVBE && x.HasOSXSAVE
	v4 := v3 && x.HasAVX512F && x.HasAVX512BW && x.HasAVX512CD && x.HasAVX512DQ && x.HasAVX512VL
	switch {
	case v4:
		return 4
	case v3:
		return 3
	case v2:
		return 2
	default:
		return 1
	}
}

// choose returns the descriptor with the best variant that want runs; of equal
// ones the first. A descriptor that names no platform is the last resort.
func choose(offered []v1.Descriptor, want v1.Platform) (v1.Descriptor, error) {
	images := slices.DeleteFunc(slices.Clone(offered), isAttestation)
	fitting := slices.DeleteFunc(slices.Clone(images), func(d v1.Descriptor) bool {
		return d.Platform != nil && !runs(want, *d.Platform)
	})
	if len(fitting) == 0 {
		return v1.Descriptor{}, noPlatform(images, want)
	}
	slices.SortStableFunc(fitting, func(a, b v1.Descriptor) int { return cmp.Compare(rank(b), rank(a)) })
	return fitting[0], nil
}

func isAttestation(d v1.Descriptor) bool {
	return d.Annotations[attestation] != "" || d.Platform != nil && d.Platform.OS == "unknown"
}

// runs reports whether a machine of platform want runs images for platform have.
func runs(want, have v1.Platform) bool {
	if want.OS != have.OS || want.Architecture != have.Architecture {
		return false
	}
	wantLevel, wantOK := variantLevel(want)
	haveLevel, haveOK := variantLevel(have)
	if !wantOK || !haveOK {
		return want.Variant == have.Variant
	}
	return haveLevel <= wantLevel
}

func rank(d v1.Descriptor) int {
	if d.Platform == nil {
		return -1
	}
	level, _ := variantLevel(*d.Platform) // An unknown variant is 0.
	return level
}

// variantLevel makes variants comparable: v8 and 8 are 800, v8.2 is 802. A
// variant that is left out is the oldest that the name of the architecture means.
func variantLevel(p v1.Platform) (int, bool) {
	if p.Variant == "" {
		return impliedLevel(p.Architecture), true
	}
	major, minor, _ := strings.Cut(strings.TrimPrefix(p.Variant, "v"), ".")
	m, err := strconv.ParseUint(major, 10, 8)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseUint(cmp.Or(minor, "0"), 10, 8)
	return int(m)*100 + int(n), err == nil
}

func impliedLevel(architecture string) int {
	switch architecture {
	case "amd64":
		return 100
	case "arm":
		return 700
	case "arm64":
		return 800
	default:
		return 0
	}
}

func noPlatform(images []v1.Descriptor, want v1.Platform) error {
	var names []string
	for _, d := range images {
		names = append(names, d.Platform.String())
	}
	slices.Sort(names)
	names = slices.Compact(names)
	return missingPlatform(names, want)
}

// missingPlatform says what there is in place of want.
func missingPlatform(names []string, want v1.Platform) error {
	more := ""
	if len(names) > maxListedPlatforms {
		more = fmt.Sprintf(" and %d more", len(names)-maxListedPlatforms)
		names = names[:maxListedPlatforms]
	}
	if len(names) == 0 {
		return fmt.Errorf("the image has nothing for %s: its index lists no image at all", want)
	}
	for i := range names {
		names[i] = printablePlatform(names[i])
	}
	return hint.Add(fmt.Errorf("the image has nothing for %s, only for %s%s", want, strings.Join(names, ", "), more),
		"build the image for this machine too, or choose one of its platforms with RUNNER_PLATFORM")
}

// printablePlatform quotes a platform, which came from outside, unless it looks
// like one.
func printablePlatform(s string) string {
	odd := strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' })
	if odd || s == "" || len(s) > maxQuotedRunes {
		return strconv.Quote(Abbreviate(s))
	}
	return s
}
