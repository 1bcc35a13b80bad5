package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of times in /proc/PID/stat: USER_HZ, which is 100 on every
// architecture that Go knows.
const tick = 10 * time.Millisecond

// family returns how long a process, its descendants and those of them that
// have ended have run, and the peak of memory of the largest that lives.
func family(pid int) (cpu time.Duration, rss int64, err error) {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return 0, 0, err
	}
	parents, times := map[int]int{}, map[int]time.Duration{}
	for _, name := range stats {
		body, err := os.ReadFile(name)
		if err != nil {
			continue // It has ended.
		}
		id, err := strconv.Atoi(filepath.Base(filepath.Dir(name)))
		if err != nil {
			return 0, 0, err
		}
		if parents[id], times[id], err = parseStat(string(body)); err != nil {
			return 0, 0, fmt.Errorf("%s: %w", name, err)
		}
	}
	for id := range parents {
		if descends(parents, id, pid) {
			cpu += times[id]
			rss = max(rss, peak(id))
		}
	}
	return cpu, rss, nil
}

// descends reports whether a process is, or stems from, another.
func descends(parents map[int]int, id, ancestor int) bool {
	for id != 0 && id != ancestor {
		id = parents[id]
	}
	return id == ancestor
}

// parseStat reads the parent and the four times of a process, see
// proc_pid_stat(5): its own and those of children that were waited for.
func parseStat(stat string) (parent int, cpu time.Duration, err error) {
	// The second field, a name in parentheses, may itself hold any of them.
	fields := strings.Fields(stat[strings.LastIndex(stat, ")")+1:])
	const ppid, utime, cstime = 1, 11, 14
	if len(fields) <= cstime {
		return 0, 0, fmt.Errorf("%q has too few fields", stat)
	}
	if parent, err = strconv.Atoi(fields[ppid]); err != nil {
		return 0, 0, err
	}
	for _, field := range fields[utime : cstime+1] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, 0, err
		}
		cpu += time.Duration(n) * tick
	}
	return parent, cpu, nil
}

// peak returns the peak of memory of a process in bytes, or 0 if it has ended.
func peak(pid int) int64 {
	body, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(body)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "VmHWM:" {
			n, err := strconv.ParseInt(fields[1], 10, 64)
			if err != nil {
				return 0
			}
			return n << 10
		}
	}
	return 0
}
