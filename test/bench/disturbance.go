package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// disturbance is how busy others kept the machine while tools ran: figures
// that were taken beside a compiler say nothing.
type disturbance struct {
	passed time.Duration // on all CPUs together
	others time.Duration // of that, used by processes that are not ours, and by the kernel's threads
}

// share is the part of the machine that others used.
func (d disturbance) share() float64 { return float64(d.others) / float64(max(d.passed, 1)) }

func (d *disturbance) add(other disturbance) {
	d.passed += other.passed
	d.others += other.others
}

// watch begins to look; the function that it returns ends it.
func watch() (func() (disturbance, error), error) {
	start := time.Now()
	before, err := strangers()
	return func() (disturbance, error) {
		after, err := strangers()
		return disturbance{time.Since(start) * time.Duration(runtime.NumCPU()), max(0, after-before)}, err
	}, err
}

// strangers returns how long all but this process and its descendants have run.
func strangers() (time.Duration, error) {
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	all, err := parseBusy(string(stat))
	if err != nil {
		return 0, err
	}
	ours, _, err := family(os.Getpid())
	return all - ours, err
}

// parseBusy returns how long the CPUs were not idle, from the first line of
// /proc/stat: see proc_stat(5).
func parseBusy(stat string) (time.Duration, error) {
	line, _, _ := strings.Cut(stat, "\n")
	fields := strings.Fields(line)
	const user, idle, iowait, steal = 1, 4, 5, 8
	if len(fields) <= steal || fields[0] != "cpu" {
		return 0, fmt.Errorf("/proc/stat begins with %q", line)
	}
	var ticks int64
	for i, field := range fields[user : steal+1] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, err
		}
		if i+user != idle && i+user != iowait {
			ticks += n
		}
	}
	return time.Duration(ticks) * tick, nil
}
