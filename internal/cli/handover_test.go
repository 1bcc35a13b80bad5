package cli_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/drengskapur/fastmcp-runner/internal/cli"
	"github.com/drengskapur/fastmcp-runner/internal/ids"
	"github.com/drengskapur/fastmcp-runner/internal/launch"
)

// TestAPlanIsPassedOnByteForByte holds for what execve(2) takes: strings of any
// bytes.
func TestAPlanIsPassedOnByteForByte(t *testing.T) {
	t.Parallel()
	var all []byte
	for b := 1; b < 256; b++ {
		all = append(all, byte(b))
	}
	want := launch.Plan{
		Argv: []string{"/app/server", string(all), ""}, Env: []string{"RAW=" + string(all), "<&>=\u2028"},
		Dir: "/app/\xff", User: ids.User{UID: 1<<32 - 2, GID: 7},
	}
	got, err := cli.PassOn(want)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the next process reads another plan (-want +got):\n%s", diff)
	}
}
