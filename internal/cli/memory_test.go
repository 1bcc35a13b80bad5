package cli_test

import (
	"runtime/debug"
	"testing"
	"testing/fstest"

	"github.com/drengskapur/fastmcp-runner/internal/cli"
	"github.com/drengskapur/fastmcp-runner/internal/host"
)

func TestMemoryLimit(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	defer debug.SetMemoryLimit(before)
	limited := host.AskMemory(fstest.MapFS{
		"proc/self/cgroup":         {Data: []byte("0::/\n")},
		"proc/self/mountinfo":      {Data: []byte("1 0 0:1 / /sys/fs/cgroup rw - cgroup2 cgroup rw\n")},
		"sys/fs/cgroup/memory.max": {Data: []byte("8589934592\n")},
	})
	for _, tt := range []struct {
		name    string
		environ []string
		memory  host.Memory
		want    int64
	}{
		{"nine tenths of what the control group allows", []string{"PATH=/bin"}, limited, 8589934592 / 10 * 9},
		{"GOMEMLIMIT goes before", []string{"GOMEMLIMIT=1GiB"}, limited, before},
		{"no limit", nil, host.AskMemory(fstest.MapFS{}), before},
	} {
		debug.SetMemoryLimit(before)
		cli.LimitMemory(tt.environ, tt.memory)
		if got := debug.SetMemoryLimit(-1); got != tt.want {
			t.Errorf("%s: the limit is %d, want %d", tt.name, got, tt.want)
		}
	}
}
