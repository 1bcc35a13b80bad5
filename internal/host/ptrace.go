package host

import "golang.org/x/sys/unix"

// mayTrace says whether a process may trace its own children, as far as
// capabilities and the text of Yama's ptrace_scope tell; see ptrace(2). Without
// Yama the text is "0".
func mayTrace(scope string, sets *CapabilitySets) Answer {
	switch scope {
	case "0", "1":
		return Answer{Verdict: Yes}
	case "2":
		if sets == nil {
			return Answer{Cause: "the capabilities are unknown"}
		}
		if sets.Effective.Has(unix.CAP_SYS_PTRACE) {
			return Answer{Verdict: Yes}
		}
		return Answer{Verdict: No, Cause: "kernel.yama.ptrace_scope is 2 and CAP_SYS_PTRACE is missing"}
	case "3":
		return Answer{Verdict: No, Cause: "kernel.yama.ptrace_scope is 3"}
	default:
		return Answer{Cause: "kernel.yama.ptrace_scope is " + scope}
	}
}
