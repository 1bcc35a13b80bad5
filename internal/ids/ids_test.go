package ids_test

import (
	"testing"

	"github.com/drengskapur/fastmcp-runner/internal/ids"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]ids.User{
		"0": {}, "1001": {UID: 1001, GID: 1001}, "1001:0": {UID: 1001}, "4294967294": {UID: ids.Max, GID: ids.Max},
	} {
		if got, err := ids.Parse(s); err != nil || got != want {
			t.Errorf("Parse(%q) = %v, %v; want %v", s, got, err, want)
		}
	}
	for _, s := range []string{"", ":", "1:", ":1", "-1", "root", "1:2:3", "4294967295", "1:4294967296", " 1"} {
		if got, err := ids.Parse(s); err == nil {
			t.Errorf("Parse(%q) = %v, want an error", s, got)
		}
	}
}
