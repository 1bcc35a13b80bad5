package host

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Cgroup is one line of /proc/self/cgroup: the place of the process in one
// hierarchy of control groups.
type Cgroup struct {
	// Hierarchy is its number; 0 is that of version 2.
	Hierarchy int
	// Controllers are those of a hierarchy of version 1, such as "memory" or
	// "name=systemd". Version 2 names none here.
	Controllers []string
	// Path lies below where the hierarchy is mounted.
	Path string
}

// ParseCgroups reads the text of /proc/self/cgroup, as cgroups(7) describes it.
func ParseCgroups(text string) ([]Cgroup, error) {
	cgroups := []Cgroup{}
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		fields := strings.SplitN(line, ":", 3)
		if len(fields) != 3 || !path.IsAbs(fields[2]) {
			return nil, fmt.Errorf("cannot parse the control groups: %q is not hierarchy:controllers:path", line)
		}
		number, err := strconv.ParseUint(fields[0], 10, 31)
		if err != nil {
			return nil, fmt.Errorf("cannot parse the control groups: %q does not begin with a number", line)
		}
		cgroup := Cgroup{Hierarchy: int(number), Path: fields[2]}
		if fields[1] != "" {
			cgroup.Controllers = strings.Split(fields[1], ",")
		}
		cgroups = append(cgroups, cgroup)
	}
	return cgroups, nil
}

// findController returns the group that limits a resource: that of the
// hierarchy of version 1 which has the controller, else that of version 2, else
// none.
func findController(cgroups []Cgroup, controller string) Cgroup {
	i := slices.IndexFunc(cgroups, func(c Cgroup) bool { return slices.Contains(c.Controllers, controller) })
	if i < 0 {
		i = slices.IndexFunc(cgroups, func(c Cgroup) bool { return c.Hierarchy == 0 })
	}
	if i < 0 {
		return Cgroup{}
	}
	return cgroups[i]
}

// isVersion2 tells the files that the directories of the group hold.
func (c Cgroup) isVersion2() bool { return c.Hierarchy == 0 }

// dirs returns the directories of the group and of its parents, as far as they
// are mounted here.
func (c Cgroup) dirs(mounts []Mount) []string {
	for _, m := range mounts {
		if !c.isMount(m) {
			continue
		}
		if below, ok := c.below(m.Root); ok {
			return ancestors(m.Point, below)
		}
	}
	return nil
}

// isMount reports whether a mount shows the hierarchy of the group.
func (c Cgroup) isMount(m Mount) bool {
	if c.isVersion2() {
		return m.Type == "cgroup2"
	}
	return m.Type == "cgroup" && len(c.Controllers) > 0 && slices.Contains(m.SuperOptions, c.Controllers[0])
}

// below returns the path of the group below a mount that shows the hierarchy
// from the group root on. A path that begins with "/.." lies outside of the
// namespace of control groups that we see it from (cgroup_namespaces(7)).
func (c Cgroup) below(root string) (string, bool) {
	switch {
	case strings.HasPrefix(c.Path, "/.."):
		return "", false
	case strings.Trim(root, "/.") == "": // the root of the namespace, or groups above it
		if root != "/" {
			return "/", true
		}
		return c.Path, true
	case c.Path == root:
		return "/", true
	default:
		below, ok := strings.CutPrefix(c.Path, root+"/")
		return "/" + below, ok
	}
}

// ancestors returns top, and each directory from there down to below.
func ancestors(top, below string) []string {
	dirs := []string{top}
	for name := range strings.SplitSeq(below, "/") {
		if name != "" {
			top = path.Join(top, name)
			dirs = append(dirs, top)
		}
	}
	return dirs
}
