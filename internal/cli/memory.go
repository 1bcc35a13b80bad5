package cli

import (
	"runtime/debug"
	"slices"
	"strings"

	"github.com/drengskapur/fastmcp-runner/internal/host"
)

// limitMemory lets the garbage collector work harder when nine tenths of what the
// control group allows are taken, rather than have the kernel kill the process.
// GOMEMLIMIT goes before; the number of processors Go takes from the control
// group by itself.
func limitMemory(environ []string, memory host.Memory) {
	set := func(variable string) bool { return strings.HasPrefix(variable, "GOMEMLIMIT=") }
	if limit, ok := memory.Limit(); ok && !slices.ContainsFunc(environ, set) {
		debug.SetMemoryLimit(limit / 10 * 9)
	}
}
