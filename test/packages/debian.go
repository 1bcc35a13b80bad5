package packages

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"os"
	"runtime"
	"strings"
)

// DebianBase returns an archive of a small Debian with some packages: this
// machine's release, by way of this machine's mirror.
func DebianBase(ctx context.Context, include ...string) (string, error) {
	return debian(ctx, "debian", include, "--variant=minbase", "--format=tar")
}

// DebianFiles returns a directory with the files of some packages and of what
// they need, which are not set up.
func DebianFiles(ctx context.Context, include ...string) (string, error) {
	return debian(ctx, "debian-files", include, "--variant=extract", "--format=directory")
}

func debian(ctx context.Context, name string, include []string, how ...string) (string, error) {
	suite, err := debianSuite()
	if err != nil {
		return "", err
	}
	list := strings.Join(include, ",")
	sources := debianSources()
	return Keep(name, append([]string{suite, list, runtime.GOARCH}, sources...), func(path string) error {
		args := append(how, "--quiet", "--include="+list, suite, path)
		return run(ctx, "mmdebstrap", append(args, sources...)...)
	})
}

// debianSuite returns the name of this machine's release, see os-release(5).
func debianSuite() (string, error) {
	body, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return "", err
	}
	lines := bufio.NewScanner(bytes.NewReader(body))
	for lines.Scan() {
		if suite, ok := strings.CutPrefix(lines.Text(), "VERSION_CODENAME="); ok {
			return strings.Trim(suite, `"'`), nil
		}
	}
	return "", errors.New("/etc/os-release names no VERSION_CODENAME")
}

// debianSources returns the file that names this machine's Debian mirror, if
// it is at a usual place; without one, mmdebstrap takes the public mirror.
func debianSources() []string {
	for _, name := range []string{"/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list"} {
		if info, err := os.Stat(name); err == nil && info.Size() > 0 {
			return []string{name}
		}
	}
	return nil
}
