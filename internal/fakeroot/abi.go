package fakeroot

import (
	"golang.org/x/sys/unix"
)

// abi is a calling convention of the kernel: what it calls itself in struct
// seccomp_data, and its numbers of the calls that the filter answers.
type abi struct {
	arch uint32
	// ignore are the bits of a number that do not tell calls apart.
	ignore uint32
	calls  []uint32
}

// x32Bit marks the calls of the x32 ABI, which is amd64 with short pointers and
// the same numbers for all that is answered here
// (arch/x86/entry/syscalls/syscall_64.tbl in Linux).
const x32Bit = 0x40000000

// abis returns the conventions of amd64 and arm64 and those of the 32-bit
// programs that they run as well. All stand in one program, which therefore is
// the same on every machine. The numbers are written out because package unix
// has them only for the machine that it is compiled for.
//
// The 32-bit conventions have most calls twice: first those with 16-bit ids.
func abis() []abi {
	return []abi{
		{arch: unix.AUDIT_ARCH_X86_64, ignore: x32Bit, calls: []uint32{
			92, 93, 94, 260, // chown, fchown, lchown, fchownat
			105, 113, 117, // setuid, setreuid, setresuid
			106, 114, 119, // setgid, setregid, setresgid
			116, // setgroups
		}},
		{arch: unix.AUDIT_ARCH_I386, calls: []uint32{
			182, 95, 16, // chown, fchown, lchown
			23, 70, 164, // setuid, setreuid, setresuid
			46, 71, 170, // setgid, setregid, setresgid
			81,                 // setgroups
			212, 207, 198, 298, // chown32, fchown32, lchown32, fchownat
			213, 203, 208, // setuid32, setreuid32, setresuid32
			214, 204, 210, // setgid32, setregid32, setresgid32
			206, // setgroups32
		}},
		{arch: unix.AUDIT_ARCH_AARCH64, calls: []uint32{
			55, 54, // fchown, fchownat; there is no chown and no lchown
			146, 145, 147, // setuid, setreuid, setresuid
			144, 143, 149, // setgid, setregid, setresgid
			159, // setgroups
		}},
		{arch: unix.AUDIT_ARCH_ARM, calls: []uint32{
			182, 95, 16, // chown, fchown, lchown
			23, 70, 164, // setuid, setreuid, setresuid
			46, 71, 170, // setgid, setregid, setresgid
			81,                 // setgroups
			212, 207, 198, 325, // chown32, fchown32, lchown32, fchownat
			213, 203, 208, // setuid32, setreuid32, setresuid32
			214, 204, 210, // setgid32, setregid32, setresgid32
			206, // setgroups32
		}},
	}
}
