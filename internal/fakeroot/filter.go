package fakeroot

import (
	"golang.org/x/sys/unix"
)

// Where the kernel puts what the filter looks at, in its struct seccomp_data
// (seccomp(2)).
const (
	offsetCall = 0
	offsetArch = 4
)

// What the filter answers: to make the call, or not to make it and to return
// the error whose number stands in the low bits. That number is 0, success.
const (
	allow   = unix.SECCOMP_RET_ALLOW
	succeed = unix.SECCOMP_RET_ERRNO
)

// filter returns the program in the classic BPF of seccomp(2): one block for
// every calling convention, and the calls of a convention that it does not know
// are allowed. They are no way around anything, because nothing is forbidden.
//
// It looks at nothing but the convention and the number of a call. So Linux
// 5.11 and later see in advance which calls it always allows, and do not run
// it for them.
func filter(abis []abi) []unix.SockFilter {
	program := []unix.SockFilter{load(offsetArch)}
	for _, a := range abis {
		b := block(a)
		program = append(program, jumpUnless(a.arch, len(b)))
		program = append(program, b...)
	}
	return append(program, answer(allow))
}

// block decides about the calls of one convention. It always answers.
func block(a abi) []unix.SockFilter {
	b := []unix.SockFilter{load(offsetCall)}
	if a.ignore != 0 {
		b = append(b, and(^a.ignore))
	}
	for i, call := range a.calls {
		// Over the comparisons that are left, and over the first answer.
		b = append(b, jumpIf(call, len(a.calls)-i))
	}
	return append(b, answer(allow), answer(succeed))
}

// load loads the word at offset into the accumulator.
func load(offset uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset}
}

// and masks the accumulator.
func and(mask uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: mask}
}

// jumpIf skips so many instructions if the accumulator is value.
func jumpIf(value uint32, skip int) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: value, Jt: distance(skip)}
}

// jumpUnless skips so many instructions if the accumulator is not value.
func jumpUnless(value uint32, skip int) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: value, Jf: distance(skip)}
}

// distance is how far a conditional jump goes; the format has a byte for it.
func distance(skip int) uint8 {
	if skip > 255 {
		panic("internal error: a block of the filter is too long to be jumped over")
	}
	return uint8(skip) //nolint:gosec // checked above
}

// answer ends the program.
func answer(action uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: action}
}
