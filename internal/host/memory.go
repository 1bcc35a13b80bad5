package host

import (
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
)

// Memory is the memory that a control group gives this process and others. What
// is written to file systems in memory counts as well.
type Memory struct {
	files    fs.FS
	dir      string // of the group whose limit holds
	version2 bool
	limit    int64
}

// AskMemory finds the control group that limits the memory of this process. In
// files are /proc and /sys, without the leading slash; nil means those of this
// host.
func AskMemory(files fs.FS) Memory {
	if files == nil {
		files = os.DirFS("/")
	}
	p := probe{texts: texts{files}}
	cgroup := findController(p.cgroups(), "memory")
	limit, dir := p.smallest(cgroup.dirs(p.mounts()), cgroup.isVersion2(), measureMemory)
	return Memory{files: files, dir: dir, version2: cgroup.isVersion2(), limit: limit}
}

// Limit is the limit in bytes. There is none, or none that is known, if it is
// false.
func (m Memory) Limit() (int64, bool) { return m.limit, m.limit > 0 }

// Used is how much of the limit is taken, without the pages of files that the
// kernel gives up when it needs them. It is not known if it is false.
func (m Memory) Used() (int64, bool) {
	if m.limit <= 0 {
		return 0, false
	}
	usage, prefix := "memory.usage_in_bytes", "total_"
	if m.version2 {
		usage, prefix = "memory.current", ""
	}
	text, err := texts{m.files}.read(path.Join(m.dir, usage))
	if err != nil {
		return 0, false
	}
	used, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err != nil {
		return 0, false
	}
	stat, err := texts{m.files}.read(path.Join(m.dir, "memory.stat"))
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(stat) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if name != prefix+"inactive_file" && name != prefix+"active_file" {
			continue
		}
		bytes, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			return 0, false
		}
		used -= bytes
	}
	return max(used, 0), true
}
