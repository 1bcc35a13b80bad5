package fakeroot_test

import (
	"encoding/binary"
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/drengskapur/fastmcp-runner/internal/fakeroot"
)

const (
	allowed = unix.SECCOMP_RET_ALLOW
	faked   = unix.SECCOMP_RET_ERRNO

	x32Bit = 0x40000000
	// numbers is how many call numbers are tried: more than any convention has.
	numbers = 2048
)

// fakedNames are the calls that are answered, as package unix names them. A
// convention has those of them that it has.
func fakedNames() []string {
	return []string{
		"SYS_CHOWN", "SYS_FCHOWN", "SYS_LCHOWN", "SYS_FCHOWNAT",
		"SYS_CHOWN32", "SYS_FCHOWN32", "SYS_LCHOWN32",
		"SYS_SETUID", "SYS_SETREUID", "SYS_SETRESUID",
		"SYS_SETUID32", "SYS_SETREUID32", "SYS_SETRESUID32",
		"SYS_SETGID", "SYS_SETREGID", "SYS_SETRESGID",
		"SYS_SETGID32", "SYS_SETREGID32", "SYS_SETRESGID32",
		"SYS_SETGROUPS", "SYS_SETGROUPS32",
	}
}

func TestFilterAnswersTheCallsOfEveryConvention(t *testing.T) {
	t.Parallel()
	vm := newVM(t)
	for _, tt := range []struct {
		name, goarch string
		arch, bit    uint32
		calls        int
	}{
		{"amd64", "amd64", unix.AUDIT_ARCH_X86_64, 0, 11},
		{"x32, which is amd64 with a bit set", "amd64", unix.AUDIT_ARCH_X86_64, x32Bit, 11},
		{"i386, which has most calls twice", "386", unix.AUDIT_ARCH_I386, 0, 21},
		{"arm64, which has neither chown nor lchown", "arm64", unix.AUDIT_ARCH_AARCH64, 0, 9},
		{"32-bit arm, which has most calls twice", "arm", unix.AUDIT_ARCH_ARM, 0, 21},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			want := callNumbers(t, tt.goarch)
			if len(want) != tt.calls {
				t.Fatalf("package unix has the calls %v, want %d", want, tt.calls)
			}
			for call := range uint32(numbers) {
				answer := allowed
				if slices.Contains(want, call) {
					answer = faked
				}
				if got := run(t, vm, tt.arch, call|tt.bit); got != answer {
					t.Errorf("call %d: the filter says %#x, want %#x", call, got, answer)
				}
			}
		})
	}
}

func TestFilterAllowsAllOfAnUnknownConvention(t *testing.T) {
	t.Parallel()
	vm := newVM(t)
	for _, arch := range []uint32{0, unix.AUDIT_ARCH_RISCV64, unix.AUDIT_ARCH_PPC64LE, unix.AUDIT_ARCH_ARMEB, 1<<32 - 1} {
		for call := range uint32(numbers) {
			if got := run(t, vm, arch, call); got != allowed {
				t.Errorf("convention %#x, call %d: the filter says %#x", arch, call, got)
			}
		}
	}
}

// newVM gives the filter to an interpreter, which makes sure first that every
// instruction is one and that every jump lands within the program.
func newVM(t *testing.T) *bpf.VM {
	t.Helper()
	var program []bpf.Instruction
	for _, ins := range fakeroot.Filter() {
		program = append(program, bpf.RawInstruction{Op: ins.Code, Jt: ins.Jt, Jf: ins.Jf, K: ins.K}.Disassemble())
	}
	vm, err := bpf.NewVM(program)
	if err != nil {
		t.Fatal(err)
	}
	return vm
}

// run asks the filter about one call. The interpreter reads its input as a
// packet and so in network order, where the kernel reads the machine's.
func run(t *testing.T, vm *bpf.VM, arch, call uint32) int {
	t.Helper()
	data := make([]byte, 64) // struct seccomp_data
	binary.BigEndian.PutUint32(data[0:], call)
	binary.BigEndian.PutUint32(data[4:], arch)
	got, err := vm.Run(data)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// callNumbers reads the numbers of the faked calls from the source of package
// unix, which is generated from the kernel's headers for each machine.
func callNumbers(t *testing.T, goarch string) []uint32 {
	t.Helper()
	dir, err := exec.CommandContext(t.Context(), "go", "list", "-f", "{{.Dir}}", "golang.org/x/sys/unix").Output()
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(strings.TrimSpace(string(dir)), "zsysnum_linux_"+goarch+".go")
	file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var calls []uint32
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || !slices.Contains(fakedNames(), spec.Names[0].Name) {
			return true
		}
		value, ok := spec.Values[0].(*ast.BasicLit)
		if !ok {
			t.Fatalf("%s is not a number", spec.Names[0])
		}
		call, err := strconv.ParseUint(value.Value, 10, 32)
		if err != nil {
			t.Fatal(err)
		}
		calls = append(calls, uint32(call))
		return true
	})
	return calls
}
