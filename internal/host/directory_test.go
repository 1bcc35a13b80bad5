package host_test

import (
	"math"
	"testing"

	"github.com/drengskapur/fastmcp-runner/internal/host"
)

func TestAFileSystemThatClaimsTooMuchHasNoSize(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		count uint64
		size  int64
		want  uint64
	}{
		{"a disk", 1 << 28, 4096, 1 << 40},
		{"no size", 0, 4096, 0},
		{"no blocks", 1 << 28, 0, 0},
		{"gVisor's memory", math.MaxInt64 / 4096, 4096, 0},
		{"more than a number holds", math.MaxUint64, 4096, 0},
	} {
		if got := host.Blocks(tt.count, tt.size); got != tt.want {
			t.Errorf("%s: %d bytes, want %d", tt.name, got, tt.want)
		}
	}
}
