package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// platform is the platform of an image, in the words of the OCI image index.
type platform struct{ platform *v1.Platform }

func (p *platform) UnmarshalText(text []byte) error {
	parts := strings.Split(strings.ToLower(string(text)), "/")
	if len(parts) < 2 || len(parts) > 3 || parts[len(parts)-1] == "" {
		return errors.New("not os/arch or os/arch/variant, such as linux/amd64 or linux/arm64/v8")
	}
	if parts[0] != "linux" {
		return errors.New("the runner starts Linux programs only: the system is linux")
	}
	if !slices.Contains(architectures(), parts[1]) && !slices.Contains(otherNames(), parts[1]) {
		return fmt.Errorf("the architecture is none of %s", strings.Join(architectures(), ", "))
	}
	p.platform = &v1.Platform{OS: parts[0], Architecture: parts[1]}
	if len(parts) == 3 {
		p.platform.Variant = parts[2]
	}
	return nil
}

// architectures are the names that the OCI image index has for the
// architectures of Linux: Go's.
func architectures() []string {
	return []string{
		"386", "amd64", "arm", "arm64", "loong64", "mips", "mips64", "mips64le", "mipsle",
		"ppc64", "ppc64le", "riscv64", "s390x",
	}
}

// otherNames are other names of some of them, which the resolver of images
// understands: those that containerd takes too.
func otherNames() []string {
	return []string{"aarch64", "armel", "armhf", "i386", "x86-64", "x86_64"}
}
