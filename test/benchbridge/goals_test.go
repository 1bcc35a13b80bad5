package main

import (
	"os"
	"path/filepath"
	"testing"
)

// tries is how often a trial may be run: the goals are times of a machine that
// others use as well.
const tries = 3

// newTestLab returns a lab with the program as it is now.
func newTestLab(t *testing.T) *lab {
	t.Helper()
	runner := filepath.Join(t.TempDir(), "fastmcp-runner")
	if err := build(t.Context(), "cmd/fastmcp-runner", runner); err != nil {
		t.Fatal(err)
	}
	l, err := newLab(t.Context(), runner, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// TestOurGatewayReachesItsGoals runs what `make bench-bridge` compares, but for
// the throughput, on the program as it is built for users. It is not parallel,
// because it measures times.
func TestOurGatewayReachesItsGoals(t *testing.T) {
	l := newTestLab(t)
	for _, trial := range l.trials() {
		t.Run(trial.name, func(t *testing.T) {
			for try := range tries {
				got, err := trial.run(t.Context(), l.gateways[0])
				if err != nil {
					t.Fatal(err)
				}
				t.Log(got.text)
				if got.good {
					return
				}
				if try == tries-1 {
					t.Errorf("got %s, must be %s", got.text, trial.must)
				}
			}
		})
	}
}
