package front_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/drengskapur/fastmcp-runner/internal/front"
)

func TestOnlyWhatTheFileStillHasIsGivenBack(t *testing.T) {
	t.Parallel()
	const maps = `00400000-009bd000 r-xp 00000000 fe:00 2883588    /bin/fastmcp-runner
009bd000-00ff4000 r--p 005bd000 fe:00 2883588    /bin/fastmcp-runner
00ff4000-010b2000 rw-p 00bf4000 fe:00 2883588    /bin/fastmcp-runner
010b2000-030fb000 rw-p 00000000 00:00 0
01100000-01200000 ---p 00000000 fe:00 2883588    /bin/fastmcp-runner
c000000000-c000400000 rw-p 00000000 00:00 0      [anon: Go: heap]
7ffc723a0000-7ffc723c1000 rw-p 00000000 00:00 0  [stack]
7ffc723c1000-7ffc723c3000 r-xp 00000000 00:00 0  [vdso]
`
	const loader = "7f0000000000-7f0000001000 r--p 00000000 fe:00 77 /lib64/ld-linux-x86-64.so.2\n"
	for name, tt := range map[string]struct {
		maps string
		want [][2]uintptr
	}{
		"a static program":                      {maps, [][2]uintptr{{0x400000, 0x9bd000}, {0x9bd000, 0xff4000}}},
		"constants that a loader may have made": {maps + loader, [][2]uintptr{{0x400000, 0x9bd000}}},
	} {
		if diff := cmp.Diff(tt.want, front.Unwritten(strings.NewReader(tt.maps))); diff != "" {
			t.Errorf("%s: -want +got\n%s", name, diff)
		}
	}
}

func TestAProgramLivesOnAfterGivingBackItsCode(t *testing.T) {
	t.Parallel()
	if err := front.Shed(); err != nil {
		t.Error(err)
	}
}
