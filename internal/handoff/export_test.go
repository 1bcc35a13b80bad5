package handoff

// The ways to mark descriptors where the kernel has no close_range.
var (
	CloseOnExecListed     = closeOnExecListed
	CloseOnExecBelowLimit = closeOnExecBelowLimit
)
