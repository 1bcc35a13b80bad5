package host

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path"
	"strconv"
	"strings"
)

// Limits are what the control groups allow this process and its children. A
// limit is 0 where it is unknown, and Unlimited where there is none.
type Limits struct {
	MemoryBytes int64 `json:"memory_bytes"`
	// CPUMillis counts thousandths of a processor.
	CPUMillis int64 `json:"cpu_millis"`
	PIDs      int64 `json:"pids"`
}

// Unlimited is a limit that does not exist.
const Unlimited = -1

// unlimitedMemory is what version 1 says for no limit, and above: the largest
// number that is a multiple of the page size, whatever that is.
const unlimitedMemory = math.MaxInt64 >> 1

// measure reads one limit in the directory of a control group. The error is
// fs.ErrNotExist where the group sets none, as the root of version 2.
type measure func(texts texts, dir string, version2 bool) (int64, error)

// limits returns the limits of the process.
func (p *probe) limits(cgroups []Cgroup, mounts []Mount) Limits {
	smallest := func(controller string, measure measure) int64 {
		cgroup := findController(cgroups, controller)
		limit, _ := p.smallest(cgroup.dirs(mounts), cgroup.isVersion2(), measure)
		return limit
	}
	return Limits{
		MemoryBytes: smallest("memory", measureMemory),
		CPUMillis:   smallest("cpu", measureCPU),
		PIDs:        smallest("pids", measurePIDs),
	}
}

// smallest returns the limit that holds in a control group, the smallest of those
// of the group and of its parents, and where it is set. It is unknown without
// directories.
func (p *probe) smallest(dirs []string, version2 bool, measure measure) (limit int64, set string) {
	for _, dir := range dirs {
		here, err := measure(p.texts, dir, version2)
		if errors.Is(err, fs.ErrNotExist) {
			here = Unlimited
		}
		p.note(err)
		if both := smaller(limit, here); both != limit {
			limit, set = both, dir
		}
	}
	return limit, set
}

// smaller returns the limit that holds if both do.
func smaller(a, b int64) int64 {
	switch {
	case a == 0 || a == Unlimited && b != 0:
		return b
	case b == 0 || b == Unlimited:
		return a
	default:
		return min(a, b)
	}
}

func measureMemory(texts texts, dir string, version2 bool) (int64, error) {
	if version2 {
		return texts.limit(path.Join(dir, "memory.max"))
	}
	limit, err := texts.limit(path.Join(dir, "memory.limit_in_bytes"))
	if limit > unlimitedMemory {
		return Unlimited, err
	}
	return limit, err
}

func measurePIDs(texts texts, dir string, _ bool) (int64, error) {
	return texts.limit(path.Join(dir, "pids.max"))
}

func measureCPU(texts texts, dir string, version2 bool) (int64, error) {
	if version2 {
		name := path.Join(dir, "cpu.max")
		text, err := texts.read(name)
		if err != nil {
			return 0, err
		}
		quota, period, _ := strings.Cut(strings.TrimSpace(text), " ")
		return millis(name, quota, period)
	}
	name := path.Join(dir, "cpu.cfs_quota_us")
	quota, err := texts.read(name)
	if err != nil {
		return 0, err
	}
	period, err := texts.read(path.Join(dir, "cpu.cfs_period_us"))
	if err != nil {
		return 0, err
	}
	return millis(name, strings.TrimSpace(quota), strings.TrimSpace(period))
}

// millis returns the part of the period that the quota is, both in
// microseconds, in thousandths; at least one.
func millis(name, quota, period string) (int64, error) {
	total, err := strconv.ParseUint(period, 10, 32)
	if err != nil || total == 0 {
		return 0, fmt.Errorf("cannot parse the period of %s: %q is not a number of microseconds", name, period)
	}
	limit, err := parseLimit(name, quota)
	if err != nil || limit == Unlimited {
		return limit, err
	}
	part := float64(limit) * 1000 / float64(total)
	return int64(min(max(part, 1), math.MaxInt64>>1)), nil
}

// limit reads a file that holds a limit and nothing else.
func (t texts) limit(name string) (int64, error) {
	text, err := t.read(name)
	if err != nil {
		return 0, err
	}
	return parseLimit(name, strings.TrimSpace(text))
}

// parseLimit reads a positive number, or one of the words for no limit: "max"
// in version 2, "-1" in version 1. A limit of 0 is raised to 1, since 0 means
// unknown here; neither lets a process live.
func parseLimit(name, text string) (int64, error) {
	if text == "max" || text == "-1" {
		return Unlimited, nil
	}
	limit, err := strconv.ParseInt(text, 10, 64)
	if err != nil || limit < 0 {
		return 0, fmt.Errorf("cannot parse %s: %q is not a limit", name, text)
	}
	return max(limit, 1), nil
}
