package bridge_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drengskapur/fastmcp-runner/internal/bridge"
)

func TestBackoffDoublesUpToAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var b bridge.Backoff
		var waits []time.Duration
		for range 11 {
			b.Failed(errors.New("no"))
			waits = append(waits, b.Wait()/time.Second)
			time.Sleep(b.Wait())
			if b.Wait() != 0 {
				t.Errorf("after its time a start must wait %s", b.Wait())
			}
		}
		if diff := cmp.Diff([]time.Duration{0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60}, waits); diff != "" {
			t.Errorf("seconds to wait: -want +got\n%s", diff)
		}
		if !b.Looping() {
			t.Error("this is no crash loop")
		}
		b.Succeeded()
		b.Failed(errors.New("no"))
		if b.Looping() || b.Wait() != 0 {
			t.Error("one failure after a success is a crash loop")
		}
	})
}
