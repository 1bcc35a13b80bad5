package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// machine describes where and of what the figures are.
func (b *bench) machine(ctx context.Context) string {
	lines := []string{
		fmt.Sprintf("Measured on %s, at commit %s, %d rounds.", time.Now().UTC().Format(time.DateOnly), version(ctx, "git", "describe", "--always", "--dirty"), b.rounds),
		"",
		fmt.Sprintf("* %d CPUs: %s; %s; Linux %s; %s", runtime.NumCPU(), field("/proc/cpuinfo", "model name"), memoryOf(), kernel(), runtime.Version()),
		"* every run on a new ext4, on a loop device whose file lies in memory; the registry (CNCF distribution, Debian's docker-registry) on loopback, on the same CPUs, its blobs in the page cache",
	}
	if !b.growth {
		lines = append(lines,
			fmt.Sprintf("* crane %s, umoci %s, containerd %s, built by the same Go; Debian's %s, %s, Docker %s",
				craneVersion, umociVersion, containerdVersion, version(ctx, "skopeo", "--version"), version(ctx, "podman", "--version"), version(ctx, "dockerd", "--version")),
			"* the image: "+b.images.five.describe(), "* one fat layer: "+b.images.fat.describe(), "* zstd: "+b.images.zstd.describe(), "* many small files: "+b.images.small.describe())
	}
	return strings.Join(lines, "\n")
}

// field returns a value of a file of /proc.
func field(file, name string) string {
	f, err := os.Open(file)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if key, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

func memoryOf() string {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%.0f GiB of memory", float64(info.Totalram)*float64(info.Unit)/(1<<30))
}

func kernel() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return err.Error()
	}
	return unix.ByteSliceToString(u.Release[:])
}

// describe says how large layers are.
func (ls layers) describe() string {
	var raw int64
	var each []string
	for _, l := range ls {
		raw += l.Raw
		each = append(each, fmt.Sprintf("%.1f", float64(l.Bytes)/1e6))
	}
	return fmt.Sprintf("%.0f MB compressed (%s), %.0f MB unpacked", float64(ls.bytes())/1e6, strings.Join(each, ", "), float64(raw)/1e6)
}
