package config_test

import (
	"strings"
	"testing"

	"github.com/drengskapur/fastmcp-runner/internal/config"
)

const digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

func TestParseReference(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, in, want string // want as docker.io, not index.docker.io
		warning        bool
	}{
		{"trap 41: a name alone", "nginx", "docker.io/library/nginx:latest", true},
		{"trap 41: an organisation", "org/repo", "docker.io/org/repo:latest", true},
		{"trap 41: localhost", "localhost/x", "localhost/x:latest", false},
		{"trap 41: localhost with a port", "localhost:5000/x", "localhost:5000/x:latest", false},
		{"trap 41: an IPv6 host", "[::1]:5000/x", "[::1]:5000/x:latest", false},
		{"an IPv6 host without a port, by tag", "[FE80::1]/x:1", "[fe80::1]/x:1", false},
		{"trap 41: an upper-case host", "GHCR.IO/org/repo:V1", "ghcr.io/org/repo:V1", false},
		{"an upper-case localhost", "LOCALHOST:5000/x", "localhost:5000/x:latest", false},
		{"trap 41: a dot in the host", "a.b/c", "a.b/c:latest", false},
		{"trap 41: the digest wins over the tag", "ghcr.io/x:1@" + digest, "ghcr.io/x@" + digest, false},
		{"a digest alone", "nginx@" + digest, "docker.io/library/nginx@" + digest, true},
		{"docker.io written out", "docker.io/nginx", "docker.io/library/nginx:latest", false},
		{"a host name of a container engine", "my_registry:5000/x", "my_registry:5000/x:latest", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			ref, warning, err := config.ParseReference(test.in)
			if err != nil {
				t.Fatalf("ParseReference(%q): %v", test.in, err)
			}
			if got := config.Familiar(ref); got != test.want {
				t.Errorf("ParseReference(%q) = %s, want %s", test.in, got, test.want)
			}
			if (warning != "") != test.warning {
				t.Errorf("ParseReference(%q) warns %q, want a warning: %t", test.in, warning, test.warning)
			}
			if !strings.EqualFold(ref.String(), test.in) {
				t.Errorf("ParseReference(%q) prints as %q", test.in, ref)
			}
		})
	}
}

func TestParseReferenceRefuses(t *testing.T) {
	t.Parallel()
	const noDigest = `what follows "@" is not a digest, such as sha256: and 64 hexadecimal digits`
	for _, test := range []struct{ name, in, want string }{
		{"nothing", "", "an empty reference"},
		{"white space", " nginx", "white space around the reference: remove it"},
		{"a URL", "https://ghcr.io/x/", `a reference has no scheme: write "ghcr.io/x"`},
		{"a transport", "docker://ghcr.io/x:1", `a reference has no scheme: write "ghcr.io/x:1"`},
		{"a URL with credentials", "https://me:hunter22@ghcr.io/x", `a reference has no scheme: write "ghcr.io/x"`},
		{"credentials without a scheme", "me:hunter22@ghcr.io/x", noDigest},
		{"a shell character", "ghcr.io/x;id", `the character ';' is not allowed: a reference has letters, digits and . - _ / : @ only`},
		{"a bracket that is no host", "x/[y]", `the character '[' is not allowed: a reference has letters, digits and . - _ / : @ only`},
		{"brackets without an address", "[x]:5000/y", `"[x]:5000" is not a registry host, as host or host:port`},
		{"an open bracket", "[::1/y", `"[::1" is not a registry host, as host or host:port`},
		{"a port too great", "ghcr.io:70000/x", `"ghcr.io:70000" is not a registry host, as host or host:port`},
		{"a host with an empty label", "ghcr..io/x", `"ghcr..io" is not a registry host, as host or host:port`},
		{"a file", "file:///x", `a reference has no scheme`},
		{"a path behind a transport", "docker-archive:///tmp/x.tar", `a reference has no scheme`},
		{"a scheme twice", "docker://https://ghcr.io/x", `a reference has no scheme: write "ghcr.io/x"`},
		{"a page behind a scheme", "https://ghcr.io/x?tab=readme", `a reference has no scheme`},
		{"a password with a slash behind a scheme", "https://me:hun/ter22@ghcr.io/x", `a reference has no scheme`},
		{"an upper-case repository with a wrong tag", "ghcr.io/Acme/MCP:.1", `a repository has no upper-case letters`},
		{"an upper-case repository", "ghcr.io/Acme/MCP:1", `a repository has no upper-case letters: write "ghcr.io/acme/mcp:1"`},
		{"an empty part", "ghcr.io/a//b", `"a//b" is not a repository, such as acme/mcp`},
		{"a host alone", "ghcr.io/", `"" is not a repository, such as acme/mcp`},
		{"an empty tag", "ghcr.io/x:", `"" is not a tag: up to 128 letters, digits and _ . -`},
		{"a tag that begins with a dash", "x:-1", `"-1" is not a tag: up to 128 letters, digits and _ . -`},
		{"an empty digest", "x@", noDigest},
		{"a short digest", "x@sha256:abc", noDigest},
		{"two digests", "x@" + digest + "@" + digest, noDigest},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, _, err := config.ParseReference(test.in)
			wantFault(t, err, test.want)
		})
	}
}
