package config

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
)

// The grammar of the OCI distribution specification, "Pulling manifests". The
// library that makes the reference checks single characters only.
var (
	repositoryGrammar = regexp.MustCompile(`^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$`)
	tagGrammar        = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$`)
	digestGrammar     = regexp.MustCompile(`^sha(256:[0-9a-f]{64}|512:[0-9a-f]{128})$`)
	// hostGrammar also allows the "_" of a container's name, which is no valid
	// domain name but is found by the resolvers of container engines.
	hostGrammar = regexp.MustCompile(`^[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*$`)
)

// ParseReference reads an image reference by tag, digest or both; of both, the
// digest counts. The warning is not empty if the registry host is missing and
// docker.io was assumed.
func ParseReference(s string) (ref name.Reference, warning string, err error) {
	if err := checkReference(s); err != nil {
		return nil, "", err
	}
	parts := splitReference(s)
	if err := parts.check(); err != nil {
		return nil, "", err
	}
	if parts.hasDigest {
		ref, err = name.NewDigest(parts.String())
	} else {
		ref, err = name.NewTag(parts.String())
	}
	if err != nil {
		return nil, "", err
	}
	if parts.host == "" {
		warning = fmt.Sprintf("%q names no registry host: %s is used", s, Familiar(ref))
	}
	return ref, warning, nil
}

// Familiar returns the full name of a reference as people write it: with
// docker.io for the host index.docker.io, which stands behind it.
func Familiar(ref name.Reference) string {
	if rest, ok := strings.CutPrefix(ref.Name(), name.DefaultRegistry+"/"); ok {
		return "docker.io/" + rest
	}
	return ref.Name()
}

// checkReference finds what shows that s was never meant as a reference.
func checkReference(s string) error {
	if s == "" {
		return errors.New("an empty reference")
	}
	if strings.TrimSpace(s) != s {
		return errors.New("white space around the reference: remove it")
	}
	if scheme := strings.LastIndex(s, "://"); scheme >= 0 {
		// A pasted URL may hold credentials before the host.
		host, path, _ := strings.Cut(s[scheme+len("://"):], "/")
		host = host[strings.LastIndex(host, "@")+1:]
		return errors.New("a reference has no scheme" + suggest(strings.TrimSuffix(host+"/"+path, "/")))
	}
	rest := s
	if strings.HasPrefix(s, "[") { // an IPv6 host; its address is checked below
		_, rest, _ = strings.Cut(s, "]")
	}
	for _, r := range rest {
		if !isReferenceRune(r) {
			return fmt.Errorf("the character %q is not allowed: a reference has letters, digits and . - _ / : @ only", r)
		}
	}
	return nil
}

// suggest ends an error with what to write instead, if that is a reference.
func suggest(s string) string {
	if _, _, err := ParseReference(s); err != nil {
		return ""
	}
	return fmt.Sprintf(": write %q", s)
}

func isReferenceRune(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune(".-_/:@", r)
}

// referenceParts are the parts of a reference. The host is empty if there is
// none; of tag and digest, "x:" is told from "x".
type referenceParts struct {
	host, repository, tag, digest string
	hasTag, hasDigest             bool
}

// splitReference cuts a reference as Docker does: what stands before the first
// slash is a registry host if it is "localhost" or holds a dot or a colon.
func splitReference(s string) referenceParts {
	var parts referenceParts
	var rest string
	rest, parts.digest, parts.hasDigest = strings.Cut(s, "@")
	first, remainder, hasSlash := strings.Cut(rest, "/")
	if first = strings.ToLower(first); hasSlash && (first == "localhost" || strings.ContainsAny(first, ".:[")) {
		parts.host, rest = first, remainder
	}
	parts.repository = rest
	if colon := strings.LastIndex(rest, ":"); colon > strings.LastIndex(rest, "/") {
		parts.repository, parts.tag, parts.hasTag = rest[:colon], rest[colon+1:], true
	}
	return parts
}

// String puts the parts together again.
func (r referenceParts) String() string {
	s := r.repository
	if r.host != "" {
		s = r.host + "/" + s
	}
	if r.hasTag {
		s += ":" + r.tag
	}
	if r.hasDigest {
		s += "@" + r.digest
	}
	return s
}

// check holds every part against its grammar. The digest comes first and is
// not shown: in "me:token@ghcr.io/x" the "@" cut credentials off.
func (r referenceParts) check() error {
	if r.hasDigest && !digestGrammar.MatchString(r.digest) {
		return errors.New(`what follows "@" is not a digest, such as sha256: and 64 hexadecimal digits`)
	}
	if r.host != "" && !isHostPort(r.host) {
		return fmt.Errorf("%q is not a registry host, as host or host:port", r.host)
	}
	if lower := strings.ToLower(r.repository); lower != r.repository && repositoryGrammar.MatchString(lower) {
		r.repository = lower
		return errors.New("a repository has no upper-case letters" + suggest(r.String()))
	}
	if !repositoryGrammar.MatchString(r.repository) {
		return fmt.Errorf("%q is not a repository, such as acme/mcp", r.repository)
	}
	if r.hasTag && !tagGrammar.MatchString(r.tag) {
		return fmt.Errorf("%q is not a tag: up to 128 letters, digits and _ . -", r.tag)
	}
	return nil
}

// reference is an image reference.
type reference struct {
	ref     name.Reference
	warning string
}

func (r *reference) UnmarshalText(text []byte) (err error) {
	r.ref, r.warning, err = ParseReference(string(text))
	return err
}
