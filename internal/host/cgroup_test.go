package host_test

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/drengskapur/fastmcp-runner/internal/host"
)

func TestParseCgroups(t *testing.T) {
	t.Parallel()
	got, err := host.ParseCgroups("4:cpu,cpuacct:/docker/a:b\n1:name=systemd:/\n0::/../x (deleted)\n")
	if err != nil {
		t.Fatal(err)
	}
	want := []host.Cgroup{
		{Hierarchy: 4, Controllers: []string{"cpu", "cpuacct"}, Path: "/docker/a:b"},
		{Hierarchy: 1, Controllers: []string{"name=systemd"}, Path: "/"},
		{Path: "/../x (deleted)"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("ParseCgroups: -want +got\n%s", diff)
	}
}

func TestParseCgroupsRefuses(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"\n", "0:/\n", "a::/\n", "-1::/\n", "2147483648::/\n", "0::x\n", "0::/\n0:\n"} {
		if got, err := host.ParseCgroups(text); err == nil {
			t.Errorf("ParseCgroups(%q) = %+v, want an error", text, got)
		}
	}
}

func TestProbeFindsTheLimitsOfNestedGroups(t *testing.T) {
	t.Parallel()
	const unified = "1 0 0:1 / /sys/fs/cgroup rw - cgroup2 cgroup rw\n"
	for _, tt := range []struct {
		name, cgroup, mounts string
		files                map[string]string
		want                 host.Limits
	}{
		{
			name:   "the smallest of a group and its parents, whichever it is",
			cgroup: "0::/a/b\n", mounts: unified,
			files: map[string]string{
				"memory.max": "100", "a/memory.max": "300", "a/b/memory.max": "200",
				"pids.max": "30", "a/pids.max": "10", "a/b/pids.max": "max",
				"cpu.max": "max 100000", "a/cpu.max": "max 100000", "a/b/cpu.max": "150000 100000",
			},
			want: host.Limits{MemoryBytes: 100, PIDs: 10, CPUMillis: 1500},
		},
		{
			name:   "siblings and children do not count",
			cgroup: "0::/a\n", mounts: unified,
			files: map[string]string{"a/b/memory.max": "1", "b/memory.max": "2", "a/memory.max": "3"},
			want:  host.Limits{MemoryBytes: 3, PIDs: host.Unlimited, CPUMillis: host.Unlimited},
		},
		{
			name:   "a mount that shows only the own group",
			cgroup: "0::/kubepods/a\n", mounts: "1 0 0:1 /kubepods/a /sys/fs/cgroup rw - cgroup2 cgroup rw\n",
			files: map[string]string{"memory.max": "7", "kubepods/a/memory.max": "1"},
			want:  host.Limits{MemoryBytes: 7, PIDs: host.Unlimited, CPUMillis: host.Unlimited},
		},
		{
			name:   "a mount that shows the parent",
			cgroup: "0::/kubepods/a\n", mounts: "1 0 0:1 /kubepods /sys/fs/cgroup rw - cgroup2 cgroup rw\n",
			files: map[string]string{"memory.max": "7", "a/memory.max": "5"},
			want:  host.Limits{MemoryBytes: 5, PIDs: host.Unlimited, CPUMillis: host.Unlimited},
		},
		{
			name:   "a mount that shows a group above the namespace",
			cgroup: "0::/a\n", mounts: "1 0 0:1 /../.. /sys/fs/cgroup rw - cgroup2 cgroup rw\n",
			files: map[string]string{"memory.max": "7", "a/memory.max": "5"},
			want:  host.Limits{MemoryBytes: 7, PIDs: host.Unlimited, CPUMillis: host.Unlimited},
		},
		{
			name:   "a mount that shows another group tells nothing",
			cgroup: "0::/kubepods/ab\n", mounts: "1 0 0:1 /kubepods/a /sys/fs/cgroup rw - cgroup2 cgroup rw\n",
			files: map[string]string{"memory.max": "7"},
		},
		{
			name:   "a group outside of the namespace is seen nowhere",
			cgroup: "0::/../b\n", mounts: unified,
			files: map[string]string{"memory.max": "7", "b/memory.max": "5"},
		},
		{
			name:   "no mount tells nothing",
			cgroup: "0::/\n",
			files:  map[string]string{"memory.max": "7"},
		},
		{
			name:   "version 1 has the controller, version 2 the rest",
			cgroup: "2:memory:/m\n0::/a\n", mounts: unified + "2 0 0:2 / /sys/fs/cgroup/v1 rw - cgroup none rw,memory\n",
			files: map[string]string{
				"v1/memory.limit_in_bytes": "9223372036854771712", "v1/m/memory.limit_in_bytes": "64",
				"a/memory.max": "1", "a/pids.max": "9",
			},
			want: host.Limits{MemoryBytes: 64, PIDs: 9, CPUMillis: host.Unlimited},
		},
		{
			name:   "a limit of nothing is a limit, not an unknown one",
			cgroup: "0::/\n", mounts: unified,
			files: map[string]string{"memory.max": "0", "pids.max": "0", "cpu.max": "1 1000000"},
			want:  host.Limits{MemoryBytes: 1, PIDs: 1, CPUMillis: 1},
		},
		{
			name:   "a limit larger than any",
			cgroup: "0::/\n", mounts: unified,
			files: map[string]string{"memory.max": "9223372036854775807", "pids.max": "4194304", "cpu.max": "9223372036854775807 1"},
			want:  host.Limits{MemoryBytes: math.MaxInt64, PIDs: 4194304, CPUMillis: math.MaxInt64>>1 + 1},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			files := fstest.MapFS{
				"proc/self/cgroup":    {Data: []byte(tt.cgroup)},
				"proc/self/mountinfo": {Data: []byte(tt.mounts)},
			}
			for name, text := range tt.files {
				files["sys/fs/cgroup/"+name] = &fstest.MapFile{Data: []byte(text + "\n")}
			}
			facts := host.Probe(t.Context(), host.Options{Files: files})
			if diff := cmp.Diff(tt.want, facts.Limits); diff != "" {
				t.Errorf("Limits: -want +got\n%s", diff)
			}
			if len(facts.Problems) > 0 {
				t.Errorf("Problems = %q, want none", facts.Problems)
			}
		})
	}
}

// FuzzParseCgroups holds what was parsed against a text written from it.
func FuzzParseCgroups(f *testing.F) {
	for _, name := range []string{"docker-root", "kubernetes-v2", "hybrid"} {
		f.Add(string(readHost(f, name)["proc/self/cgroup"].Data))
	}
	f.Add("0::/a:b\n1:,:/\n-1::\n")
	f.Fuzz(func(t *testing.T, text string) {
		want, err := host.ParseCgroups(text)
		if err != nil {
			return
		}
		var written strings.Builder
		for _, c := range want {
			fmt.Fprintf(&written, "%d:%s:%s\n", c.Hierarchy, strings.Join(c.Controllers, ","), c.Path)
		}
		got, err := host.ParseCgroups(written.String())
		if err != nil {
			t.Fatalf("ParseCgroups does not read %q: %v", written.String(), err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("ParseCgroups of what it returned: -want +got\n%s", diff)
		}
	})
}

// FuzzLimits makes limits of any text: each is unknown, unlimited or positive,
// none is above that of the parent, and what cannot be read is told.
func FuzzLimits(f *testing.F) {
	f.Add("/a/b", "/", "max\n", "268435456\n", "50000 100000\n")
	f.Add("/../x", "/..", "-1\n", "9223372036854775808\n", "max 0\n")
	f.Add("/a", "/a", "0\n", "\n", "1 4294967296 7\n")
	f.Fuzz(func(t *testing.T, group, root, parent, own, cpu string) {
		if strings.ContainsAny(group+root, "\n\\ ") {
			return
		}
		facts := host.Probe(t.Context(), host.Options{Files: fstest.MapFS{
			"proc/self/cgroup":           {Data: []byte("0::" + group + "\n")},
			"proc/self/mountinfo":        {Data: []byte("1 0 0:1 " + root + " /sys/fs/cgroup rw - cgroup2 cgroup rw\n")},
			"sys/fs/cgroup/memory.max":   {Data: []byte(parent)},
			"sys/fs/cgroup/a/memory.max": {Data: []byte(own)},
			"sys/fs/cgroup/cpu.max":      {Data: []byte(cpu)},
		}})
		for _, limit := range []int64{facts.Limits.MemoryBytes, facts.Limits.CPUMillis, facts.Limits.PIDs} {
			if limit < host.Unlimited {
				t.Errorf("Limits = %+v, want none below %d", facts.Limits, host.Unlimited)
			}
		}
		if facts.Limits.PIDs > 0 {
			t.Errorf("PIDs = %d, but there is no such file", facts.Limits.PIDs)
		}
		if most, err := strconv.ParseInt(strings.TrimSpace(parent), 10, 64); err == nil && most > 0 && facts.Limits.MemoryBytes > most {
			t.Errorf("MemoryBytes = %d, but the parent allows %d", facts.Limits.MemoryBytes, most)
		}
		if facts.Limits.CPUMillis == 0 && len(facts.Problems) == 0 && group == "/" && root == "/" {
			t.Errorf("%q is neither a limit nor a problem", cpu)
		}
	})
}
