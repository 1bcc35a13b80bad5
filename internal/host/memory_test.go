package host_test

import (
	"testing"
	"testing/fstest"

	"github.com/drengskapur/fastmcp-runner/internal/host"
)

func TestMemory(t *testing.T) {
	t.Parallel()
	const unified = "1 0 0:1 / /sys/fs/cgroup rw - cgroup2 cgroup rw\n"
	for _, tt := range []struct {
		name           string
		cgroup, mounts string
		files          map[string]string
		limit, used    int64 // -1: none, or unknown.
	}{
		{
			name: "version 2, without the pages of files", cgroup: "0::/a\n", mounts: unified,
			files: map[string]string{
				"memory.max": "max", "a/memory.max": "1000", "a/memory.current": "900",
				"a/memory.stat": "anon 500\nfile 400\nactive_file 100\ninactive_file 200\nshmem 100",
			},
			limit: 1000, used: 600,
		},
		{
			name: "what counts is the group with the smallest limit", cgroup: "0::/a/b\n", mounts: unified,
			files: map[string]string{
				"a/memory.max": "500", "a/memory.current": "400", "a/memory.stat": "anon 400",
				"a/b/memory.max": "1000", "a/b/memory.current": "100", "a/b/memory.stat": "anon 100",
			},
			limit: 500, used: 400,
		},
		{
			name: "version 1, with the groups below", cgroup: "4:memory:/a\n0::/\n", mounts: "1 0 0:1 / /sys/fs/cgroup rw - cgroup cgroup rw,memory\n", //nolint:dupword // as the kernel says it
			files: map[string]string{
				"memory.limit_in_bytes": "9223372036854771712", "a/memory.limit_in_bytes": "1000", "a/memory.usage_in_bytes": "900",
				"a/memory.stat": "active_file 1\ninactive_file 1\ntotal_active_file 300\ntotal_inactive_file 400",
			},
			limit: 1000, used: 200,
		},
		{
			name: "no limit", cgroup: "0::/\n", mounts: unified,
			files: map[string]string{"memory.max": "max", "memory.current": "900", "memory.stat": "anon 1"},
			limit: -1, used: -1,
		},
		{name: "no such files", cgroup: "0::/\n", mounts: unified, limit: -1, used: -1},
		{
			name: "nothing but the limit", cgroup: "0::/\n", mounts: unified,
			files: map[string]string{"memory.max": "1000"}, limit: 1000, used: -1,
		},
		{
			name: "what is no number", cgroup: "0::/\n", mounts: unified,
			files: map[string]string{"memory.max": "1000", "memory.current": "900", "memory.stat": "active_file many"}, limit: 1000, used: -1,
		},
		{
			name: "more pages of files than there were a moment before", cgroup: "0::/\n", mounts: unified,
			files: map[string]string{"memory.max": "1000", "memory.current": "900", "memory.stat": "active_file 901"}, limit: 1000, used: 0,
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
			memory := host.AskMemory(files)
			if limit, ok := memory.Limit(); ok != (tt.limit >= 0) || ok && limit != tt.limit {
				t.Errorf("Limit() = %d, %v, want %d", limit, ok, tt.limit)
			}
			if used, ok := memory.Used(); ok != (tt.used >= 0) || ok && used != tt.used {
				t.Errorf("Used() = %d, %v, want %d", used, ok, tt.used)
			}
		})
	}
}
