package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// processesIn returns the processes whose working directory is this one: a
// gateway and all that it or its servers have started, whoever their parents
// are by now.
func processesIn(dir string) ([]int, error) {
	links, err := filepath.Glob("/proc/[0-9]*/cwd")
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, link := range links {
		cwd, err := os.Readlink(link)
		if err != nil || cwd != dir {
			continue // it has ended, or is somebody else's
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(link)))
		if err != nil {
			return nil, err
		}
		pids = append(pids, pid)
	}
	return pids, nil
}

// split tells the processes of a gateway from those of its servers.
func (l *lab) split(in *instance) (own, servers []int, err error) {
	pids, err := processesIn(in.dir)
	for _, pid := range pids {
		exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return nil, nil, err
		case exe == l.plain || exe == l.sdk:
			servers = append(servers, pid)
		default:
			own = append(own, pid)
		}
	}
	return own, servers, err
}

// pss returns how much memory processes have, with what they share divided
// among those that share it.
func pss(pids []int) (memory, error) {
	var total memory
	for _, pid := range pids {
		rollup, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if err != nil {
			return 0, err
		}
		_, rest, _ := strings.Cut(string(rollup), "\nPss:")
		var kib memory
		if _, err := fmt.Sscan(rest, &kib); err != nil {
			return 0, fmt.Errorf("cannot read the PSS of process %d: %w", pid, err)
		}
		total += kib
	}
	return total, nil
}

// tick is the unit of times in /proc/PID/stat, which is the same on all
// architectures that Go knows (USER_HZ).
const tick = 10 * time.Millisecond

// cpuTime returns how long processes have run. One that has ended counts as
// nothing.
func cpuTime(pids []int) (time.Duration, error) {
	var total time.Duration
	for _, pid := range pids {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return 0, err
		}
		fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
		for _, field := range fields[11:13] { // utime and stime (proc(5), stat)
			ticks, err := strconv.Atoi(string(field))
			if err != nil {
				return 0, err
			}
			total += time.Duration(ticks) * tick
		}
	}
	return total, nil
}

// ownCPUTime returns how long this process has run.
func ownCPUTime() (time.Duration, error) {
	var usage syscall.Rusage
	err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()), err
}

// idleTime returns how long the CPUs have been idle, all together.
func idleTime() (time.Duration, error) {
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	var user, nice, system, idle int
	if _, err := fmt.Sscanf(string(stat), "cpu %d %d %d %d", &user, &nice, &system, &idle); err != nil {
		return 0, fmt.Errorf("cannot read /proc/stat: %w", err)
	}
	return time.Duration(idle) * tick, nil
}

// entries counts what is in a directory of a process: its descriptors in fd,
// its threads in task.
func entries(pid int, dir string) (int, error) {
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/%s", pid, dir))
	return len(list), err
}
