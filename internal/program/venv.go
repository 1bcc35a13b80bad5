package program

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/drengskapur/fastmcp-runner/internal/rootfs"
)

// venv is a Python virtual environment (PEP 405): a directory with a
// pyvenv.cfg beside its bin directory.
type venv struct {
	dir    string
	config map[string]string // of pyvenv.cfg, names in lower case
}

// openVenv returns the virtual environment that a bin directory belongs to.
func (s search) openVenv(bin string) (venv, bool) {
	const limit = 64 << 10
	dir := path.Dir(path.Clean(bin))
	text, err := s.root.ReadFile(path.Join(dir, "pyvenv.cfg"), limit)
	if err != nil {
		return venv{}, false
	}
	v := venv{dir: dir, config: map[string]string{}}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, "="); ok {
			v.config[strings.ToLower(strings.TrimSpace(name))] = strings.TrimSpace(value)
		}
	}
	return v, true
}

// minor returns the version that a virtual environment says it is for, or -1.
// The venv module writes "version", virtualenv and uv "version_info".
func (v venv) minor() int {
	for _, name := range []string{"version", "version_info"} {
		parts := strings.Split(v.config[name], ".")
		if len(parts) >= 2 && parts[0] == "3" {
			return minorOf("python3." + parts[1])
		}
	}
	return -1
}

// isCPython reports whether nothing says otherwise.
func (v venv) isCPython() bool {
	implementation := v.config["implementation"]
	return implementation == "" || strings.EqualFold(implementation, "cpython")
}

// seesSystem reports whether the environment also uses the packages of the
// Python that it was made by.
func (v venv) seesSystem() bool {
	return strings.EqualFold(v.config["include-system-site-packages"], "true")
}

// Relink is a symbolic link that is to get another target.
type Relink struct {
	// Dir and Name say where the link lies, Dir free of links itself.
	Dir, Name string
	// Old is the target that it has, New the one that it is to get.
	Old, New string
}

// relinks returns what makes the dangling interpreters of the virtual
// environments work, and a text for each.
func (s search) relinks(pythons []python) (links []Relink, notes []string) {
	for _, bin := range s.venvBins() {
		env, ok := s.openVenv(bin)
		if !ok || !env.isCPython() {
			continue
		}
		for _, name := range list(s.root, bin) {
			link, ok := s.relink(env, path.Join(bin, name), pythons)
			if ok && !slices.Contains(links, link) {
				links = append(links, link)
				notes = append(notes, fmt.Sprintf("%s in the virtual environment %s now leads to %s of this container instead of %s, which is not here",
					show(path.Join(link.Dir, link.Name)), show(env.dir), link.New, show(link.Old)))
			}
		}
	}
	return links, notes
}

// relink decides about one name in a bin directory. Of links that lead to each
// other, it is the one that leaves the directory that is wrong.
func (s search) relink(env venv, p string, pythons []python) (Relink, bool) {
	if !pythonName.MatchString(path.Base(p)) {
		return Relink{}, false
	}
	resolved, err := s.root.Resolve(p)
	if err != nil || resolved.Exists {
		return Relink{}, false
	}
	chain := s.chain(p, resolved)
	if len(chain) == 0 || !pythonName.MatchString(path.Base(resolved.Path)) {
		return Relink{}, false
	}
	last := chain[len(chain)-1]
	dir, name := path.Split(last.Path)
	bin, err := s.root.Resolve(path.Dir(p))
	if err != nil || path.Clean(dir) != bin.Path || !s.takes(last.Path) {
		return Relink{}, false
	}
	replacement, ok := choose(pythons, env, path.Base(resolved.Path))
	return Relink{Dir: bin.Path, Name: name, Old: last.Target, New: replacement.path}, ok
}

// choose returns the interpreter of the minor version that the missing one
// had; where its name does not say it, pyvenv.cfg does.
func choose(pythons []python, env venv, missing string) (python, bool) {
	minor := minorOf(missing)
	if minor < 0 {
		minor = env.minor()
	}
	return ofMinor(pythons, minor)
}

// venvBins returns where the plan may use a virtual environment: where it
// says so, and where image authors usually put one.
func (s search) venvBins() []string {
	_, bins := s.searchPath()
	if dir, ok := s.plan.Lookup("VIRTUAL_ENV"); ok {
		bins = append(bins, path.Join(s.absolute(dir), "bin"))
	}
	if strings.Contains(s.plan.Argv[0], "/") {
		bins = append(bins, path.Dir(s.absolute(s.plan.Argv[0])))
	}
	for _, dir := range []string{s.plan.Dir, "/app", "/opt", "/srv"} {
		for _, name := range []string{".venv", "venv", "env"} {
			bins = append(bins, path.Join(dir, name, "bin"))
		}
	}
	return bins
}

// apply replaces the link at once, so that there is never none.
func (l Relink) apply(root *rootfs.Root) error {
	dir, err := root.OpenDir(l.Dir)
	if err != nil {
		return err
	}
	err = l.replace(dir)
	if closeErr := dir.Close(); err == nil {
		err = closeErr
	}
	return err
}

func (l Relink) replace(dir *rootfs.Dir) error {
	const temporary = ".fastmcp-runner-link"
	old, err := dir.Stat(l.Name)
	if err != nil {
		return err
	}
	if target, err := dir.Readlink(l.Name); err != nil || target != l.Old {
		return fmt.Errorf("it is no longer a link to %q", l.Old)
	}
	if err := dir.RemoveAll(temporary); err != nil { // of a start that was cut short
		return err
	}
	if err := dir.Symlink(l.New, temporary); err != nil {
		return err
	}
	if err := keepOwner(dir, temporary, old); err != nil {
		return err
	}
	return dir.Rename(temporary, l.Name)
}

// keepOwner gives a link the owner of another. An ordinary user can neither
// do so nor need it: both links are its own.
func keepOwner(dir *rootfs.Dir, name string, old rootfs.Info) error {
	created, err := dir.Stat(name)
	if err != nil {
		return err
	}
	uid, gid := old.Owner()
	if ours, _ := created.Owner(); ours != 0 {
		return nil
	}
	return dir.Lchown(name, uid, gid)
}
