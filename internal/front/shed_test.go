package front_test

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/drengskapur/fastmcp-runner/internal/front"
)

func TestOnlyWhatTheFileStillHasIsGivenBack(t *testing.T) {
	t.Parallel()
	const maps = `00400000-009bd000 r-xp 00000000 fe:00 2883588    /bin/fastmcp-runner
009bd000-00ff4000 r--p 005bd000 fe:00 2883588    /bin/fastmcp-runner (deleted)
00ff4000-010b2000 rw-p 00bf4000 fe:00 2883588    /bin/fastmcp-runner
010b2000-030fb000 rw-p 00000000 00:00 0
01100000-01200000 ---p 00000000 fe:00 2883588    /bin/fastmcp-runner
01200000-01300000 r--s 00000000 fe:00 2883588    /usr/share/shared
c000000000-c000400000 rw-p 00000000 00:00 0      [anon: Go: heap]
7ffc723a0000-7ffc723c1000 rw-p 00000000 00:00 0  [stack]
7ffc723c1000-7ffc723c3000 r-xp 00000000 00:00 0  [vdso]
`
	want := [][2]uintptr{{0x400000, 0x9bd000}, {0x9bd000, 0xff4000}}
	if diff := cmp.Diff(want, front.ReadOnlyFiles(strings.NewReader(maps))); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	own, err := os.Open("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	if len(front.ReadOnlyFiles(own)) == 0 {
		t.Error("this program has no code")
	}
}

func TestAProgramLivesOnAfterGivingBackItsCode(t *testing.T) {
	t.Parallel()
	if err := front.Shed(); err != nil {
		t.Error(err)
	}
}
