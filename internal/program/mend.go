package program

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/drengskapur/fastmcp-runner/internal/launch"
	"github.com/drengskapur/fastmcp-runner/internal/rootfs"
)

// Mends are the changes with which a plan runs on the Python of this
// container.
type Mends struct {
	// Plan is the plan with the changes to its environment.
	Plan launch.Plan
	// Links are the symbolic links to change; Apply does it.
	Links []Relink
	// Notes say each change in a sentence, for the log.
	Notes []string
}

// FindMends decides which changes a plan needs, and changes nothing. There
// are two, each only where this container has a Python of the same minor
// version:
//
//   - A virtual environment of the image whose python link dangles, because
//     the interpreter lies outside the allowlist, is pointed at the
//     container's. A link that works is left alone.
//   - Packages of the image in a directory that the container's Python does
//     not search are put on PYTHONPATH, behind the image's own value. A plan
//     that uses a virtual environment or another Python of the image is
//     spared: PYTHONPATH would put them in front of that one's own.
//
// When the whole image is taken, which a nil allowed says, it needs neither.
func FindMends(root *rootfs.Root, plan launch.Plan, allowed func(path string) bool) Mends {
	if allowed == nil {
		return Mends{Plan: plan}
	}
	s := search{root: root, plan: plan, taken: Taken{Allows: allowed}}
	pythons := findPythons(root)
	links, notes := s.relinks(pythons)
	mends := Mends{Plan: plan, Links: links, Notes: notes}
	if s.bringsPython() {
		return mends
	}
	for _, python := range pythons {
		for _, dir := range s.unsearched(python) {
			mends.addPackages(dir, python)
		}
	}
	return mends
}

// Apply changes the links.
func (m Mends) Apply(root *rootfs.Root) error {
	for _, link := range m.Links {
		if err := link.apply(root); err != nil {
			return fmt.Errorf("cannot point %q at %q: %w", path.Join(link.Dir, link.Name), link.New, err)
		}
	}
	return nil
}

// unsearched returns the image's package directories for an interpreter that
// the interpreter does not search by itself.
func (s search) unsearched(python python) []string {
	searched := python.searches(s.root)
	var dirs []string
	for _, prefix := range []string{"/usr/local", "/usr"} {
		for _, kind := range []string{"site-packages", "dist-packages"} {
			dir := path.Join(prefix, "lib/python"+python.version(), kind)
			if !slices.Contains(searched, dir) && s.takes(dir) && len(list(s.root, dir)) > 0 {
				dirs = append(dirs, dir)
			}
		}
	}
	return dirs
}

// addPackages puts a directory at the end of PYTHONPATH. The note does not
// show the rest of it, which may be the operator's.
func (m *Mends) addPackages(dir string, python python) {
	value, _ := m.Plan.Lookup("PYTHONPATH")
	if slices.Contains(strings.Split(value, ":"), dir) {
		return
	}
	if value == "" {
		value = dir
	} else {
		value += ":" + dir
	}
	m.Plan = m.Plan.WithEnv("PYTHONPATH", value)
	m.Notes = append(m.Notes, fmt.Sprintf("the packages in %s are put on PYTHONPATH: the Python %s of this container does not search there", dir, python.version()))
}

// bringsPython reports whether the plan will use a Python of the image: an
// interpreter in the allowlist, or that of a virtual environment without
// access to other packages.
func (s search) bringsPython() bool {
	python := s.pythonOf()
	if python == "" {
		return false
	}
	if env, ok := s.openVenv(path.Dir(python)); ok {
		return !env.seesSystem()
	}
	found, err := s.root.Resolve(python)
	return err == nil && found.Exists && s.takes(found.Path)
}

// pythonOf returns the path of the Python that the plan will use, as far as it
// can be told: the program itself, the interpreter of a script, or else the
// first Python in PATH, which a shell or a tool such as uv would take.
func (s search) pythonOf() string {
	program := s.locate(s.plan.Argv[0])
	if pythonName.MatchString(path.Base(program)) {
		return program
	}
	if interpreter := s.interpreterOf(program); pythonName.MatchString(path.Base(interpreter)) {
		return interpreter
	}
	if p := s.locate("python3"); p != "" {
		return p
	}
	return s.locate("python")
}

// interpreterOf returns what the first line of a script leads to.
func (s search) interpreterOf(script string) string {
	content, err := s.root.OpenFile(script)
	if err != nil {
		return ""
	}
	defer content.Close()
	text, err := readHead(content)
	if err != nil || !strings.HasPrefix(string(text), "#!") {
		return ""
	}
	line, err := parseShebang(text)
	if err != nil {
		return ""
	}
	if name := line.envCommand(); name != "" {
		return s.locate(name)
	}
	return s.absolute(line.interpreter)
}

// locate returns where a command lies, be it a dangling link that is about to
// be mended; empty if nowhere.
func (s search) locate(command string) string {
	if strings.Contains(command, "/") {
		return s.absolute(command)
	}
	_, dirs := s.searchPath()
	for _, dir := range dirs {
		p := dir + "/" + command
		if found, err := s.root.Resolve(p); err == nil && (found.Exists || s.isLink(p)) {
			return p
		}
	}
	return ""
}
