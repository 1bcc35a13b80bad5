package program

import (
	"bytes"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/drengskapur/fastmcp-runner/internal/rootfs"
)

// pythonName matches the names of CPython's executable; its group is the
// minor version.
var pythonName = regexp.MustCompile(`^python(?:3(?:\.(\d+))?)?$`)

// python is a Python interpreter of this container.
type python struct {
	path   string // /usr/bin/python3.12
	prefix string // /usr
	minor  int    // 12
}

func (p python) version() string { return "3." + strconv.Itoa(p.minor) }

// findPythons returns the container's own interpreters, one of each minor
// version. Only a name with the full version counts: it cannot mean another.
func findPythons(root *rootfs.Root) []python {
	var found []python
	for _, prefix := range []string{"/usr", "/usr/local"} {
		bin := path.Join(prefix, "bin")
		for _, name := range list(root, bin) {
			p := python{path: path.Join(bin, name), prefix: prefix, minor: minorOf(name)}
			sameMinor := func(q python) bool { return q.minor == p.minor }
			if p.minor >= 0 && isProgram(root, p.path) && !slices.ContainsFunc(found, sameMinor) {
				found = append(found, p)
			}
		}
	}
	slices.SortFunc(found, func(a, b python) int { return a.minor - b.minor })
	return found
}

// HasPython reports whether a root has a Python that an image can borrow.
func HasPython(root *rootfs.Root) bool { return len(findPythons(root)) > 0 }

// ofMinor returns the interpreter of a minor version.
func ofMinor(pythons []python, minor int) (python, bool) {
	i := slices.IndexFunc(pythons, func(p python) bool { return p.minor == minor })
	if i < 0 {
		return python{}, false
	}
	return pythons[i], true
}

// versions lists the interpreters' versions for a message.
func versions(pythons []python) string {
	texts := make([]string, len(pythons))
	for i, python := range pythons {
		texts[i] = python.version()
	}
	return strings.Join(texts, " and ")
}

// minorOf returns 12 for "python3.12", and -1 for a name without it.
func minorOf(name string) int {
	m := pythonName.FindStringSubmatch(name)
	if m == nil {
		return -1
	}
	minor, err := strconv.Atoi(m[1])
	if err != nil {
		return -1
	}
	return minor
}

// list returns the names in a directory; one that cannot be listed has none.
func list(root *rootfs.Root, dir string) []string {
	d, err := root.OpenDir(dir)
	if err != nil {
		return nil
	}
	names, err := d.Names()
	if closeErr := d.Close(); err != nil || closeErr != nil {
		return nil
	}
	return names
}

func isProgram(root *rootfs.Root, p string) bool {
	found, err := root.Resolve(p)
	return err == nil && found.Exists && found.Info.IsRegular() && found.Info.Perm()&0o111 != 0
}

// searches returns the package directories that the interpreter puts on
// sys.path by itself. Debian's differ from everybody else's: its site.py says
// dist-packages.
func (p python) searches(root *rootfs.Root) []string {
	versioned := "lib/python" + p.version()
	if p.prefix != "/usr" || !isDebian(root, path.Join(p.prefix, versioned, "site.py")) {
		return []string{path.Join(p.prefix, versioned, "site-packages")}
	}
	return []string{
		path.Join("/usr/local", versioned, "dist-packages"),
		path.Join("/usr", versioned, "dist-packages"),
		"/usr/lib/python3/dist-packages",
	}
}

func isDebian(root *rootfs.Root, site string) bool {
	const limit = 1 << 20
	text, err := root.ReadFile(site, limit)
	return err == nil && bytes.Contains(text, []byte("dist-packages"))
}
