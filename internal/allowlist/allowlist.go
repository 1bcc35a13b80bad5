// Package allowlist decides which paths of an image are taken in allowlist
// mode. It is pure: it knows paths as text and nothing of disks, layers or
// environments.
package allowlist

import (
	"fmt"
	"path"
	"strings"
)

// patterns are the paths that are always taken, each with everything below it.
// A "*" at the end of an element stands for the rest of it.
func patterns() []string {
	return []string{
		"app", "data", "home", "opt", "srv", "var/lib", "var/data",
		"usr/lib/python*/site-packages", "usr/lib/python*/dist-packages",
		"usr/local/lib/python*/site-packages", "usr/local/lib/python*/dist-packages",
		"usr/local/lib/node_modules",
	}
}

// system are the paths that no addition may name or contain: they hold the
// runner's own programs, libraries and accounts, on which the server is
// started. One directory or file inside of them may be named.
func system() []string {
	return []string{
		"bin", "sbin", "lib", "lib32", "lib64", "libx32", "boot", "etc", "root", "run", "var/run",
		"usr/bin", "usr/sbin", "usr/lib", "usr/lib32", "usr/lib64", "usr/libx32",
	}
}

// kernel are the paths at and below which nothing may be named: no file of an
// image belongs there.
func kernel() []string { return []string{"dev", "proc", "sys"} }

// List is a set of paths, each standing for itself and everything below it.
// The zero List allows nothing.
type List struct {
	entries [][]string // each pattern split into its elements
}

// New returns the default list with extra absolute paths added. An extra path
// that is or contains a system directory is refused, because an image could
// otherwise replace what the runner itself stands on.
func New(extra []string) (List, error) {
	var l List
	for _, p := range patterns() {
		l.entries = append(l.entries, strings.Split(p, "/"))
	}
	for _, p := range extra {
		clean, err := check(p)
		if err != nil {
			return List{}, err
		}
		l.entries = append(l.entries, strings.Split(clean, "/"))
	}
	return l, nil
}

// check returns the cleaned relative form of an added path, or why it is
// refused.
func check(p string) (string, error) {
	if !path.IsAbs(p) {
		return "", fmt.Errorf("%q is not an absolute path", p)
	}
	if strings.ContainsAny(p, "*?[\\") {
		return "", fmt.Errorf("%q has a pattern character: name one directory or file", p)
	}
	clean := strings.TrimPrefix(path.Clean(p), "/")
	if clean == "" {
		return "", fmt.Errorf("%q is the whole image", p)
	}
	for _, s := range system() {
		if within(s, clean) {
			return "", fmt.Errorf("%q is or contains the system directory /%s", p, s)
		}
	}
	for _, k := range kernel() {
		if within(clean, k) || within(k, clean) {
			return "", fmt.Errorf("%q lies in /%s, which the kernel provides", p, k)
		}
	}
	return clean, nil
}

// within reports whether p is dir or lies below it.
func within(p, dir string) bool {
	return p == dir || strings.HasPrefix(p, dir+"/")
}

// String returns the paths of the list, separated by colons.
func (l List) String() string {
	paths := make([]string, len(l.entries))
	for i, entry := range l.entries {
		paths[i] = "/" + strings.Join(entry, "/")
	}
	return strings.Join(paths, ":")
}

// Allows reports whether p, a clean path without a leading slash, is one of
// the list's paths or lies below one. It is asked about every entry of an
// image, and allocates nothing.
func (l List) Allows(p string) bool {
	for _, entry := range l.entries {
		if begins(p, entry) {
			return true
		}
	}
	return false
}

// begins reports whether the first elements of p match the patterns one to one.
func begins(p string, patterns []string) bool {
	for _, pattern := range patterns {
		var element string
		element, p, _ = strings.Cut(p, "/")
		if start, ok := strings.CutSuffix(pattern, "*"); ok {
			if !strings.HasPrefix(element, start) {
				return false
			}
		} else if element != pattern {
			return false
		}
	}
	return true
}
