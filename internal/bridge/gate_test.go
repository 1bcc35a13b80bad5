package bridge_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drengskapur/fastmcp-runner/internal/bridge"
)

// starts joins a gate so often, in order.
func starts(t *testing.T, g bridge.Gate, n int) []bridge.Turn {
	t.Helper()
	turns := make([]bridge.Turn, n)
	for i := range turns {
		var err error
		if turns[i], err = g.Join(); err != nil {
			t.Fatalf("start %d: %v", i, err)
		}
	}
	return turns
}

// wantCome checks which turns have come.
func wantCome(t *testing.T, turns []bridge.Turn, want ...int) {
	t.Helper()
	var got []int
	for i, at := range turns {
		if at.Come() {
			got = append(got, i)
		}
	}
	if !slices.Equal(got, want) {
		t.Fatalf("turns %v have come, want %v", got, want)
	}
}

func TestStartsComeInTheirOrder(t *testing.T) {
	t.Parallel()
	turns := starts(t, bridge.NewGate(2), 10)
	wantCome(t, turns, 0, 1, 2, 3)
	turns[2].Leave(true)
	turns[2].Leave(true) // once is enough
	wantCome(t, turns, 0, 1, 2, 3, 4)
	turns[0].Leave(false)
	wantCome(t, turns, 0, 1, 2, 3, 4, 5)
}

func TestTheRunnersOwnStartIsTheNext(t *testing.T) {
	t.Parallel()
	g := bridge.NewGate(1)
	turns := starts(t, g, 4)
	own, err := g.JoinFirst()
	if err != nil {
		t.Fatal(err)
	}
	turns[0].Leave(true)
	wantCome(t, append(turns, own), 0, 1, 4)
}

func TestWhoGivesUpLeavesTheQueue(t *testing.T) {
	t.Parallel()
	turns := starts(t, bridge.NewGate(1), 4)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := turns[2].Wait(ctx, nil); err == nil {
		t.Error("the wait goes on")
	}
	turns[2].Leave(false)
	turns[0].Leave(true)
	wantCome(t, turns, 0, 1, 3)
}

// A turn that has come is taken by nobody for a client that has gone meanwhile.
func TestNothingIsStartedForWhoHasGone(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 20 { // since select takes any case that is ready
		if err := starts(t, bridge.NewGate(1), 1)[0].Wait(ctx, nil); err == nil {
			t.Fatal("the start goes on")
		}
	}
}

func TestShutdownEndsTheQueue(t *testing.T) {
	t.Parallel()
	closing := make(chan struct{})
	close(closing)
	if err := starts(t, bridge.NewGate(1), 3)[2].Wait(t.Context(), closing); err == nil {
		t.Error("the wait goes on")
	}
}

func TestWhoComesBackWhenToldIsLetIn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := bridge.NewGate(2)
		turns := starts(t, g, 200)
		time.Sleep(4 * time.Second)
		for _, at := range turns[:4] {
			at.Leave(true)
		}
		for range 3 {
			if _, err := g.Join(); err == nil {
				t.Fatal("nobody is refused, and 196 wait for a second each")
			}
		}
		time.Sleep(7 * time.Second) // two of the three were told to come by now, and nothing has started
		for try, want := range []bool{true, true, false} {
			if _, err := g.Join(); (err == nil) != want {
				t.Errorf("try %d: %v, want that it is let in: %t", try, err, want)
			}
		}
		time.Sleep(2 * time.Minute) // the last two were promised places that nobody took
		if _, err := g.Join(); err == nil {
			t.Error("a promise is kept for ever")
		}
	})
}

func TestWhoWouldWaitTooLongIsTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := bridge.NewGate(2)
		turns := starts(t, g, 200) // nothing is known yet: nobody is refused
		time.Sleep(4 * time.Second)
		for _, at := range turns[:4] {
			at.Leave(true) // four in 4 s: one for each second
		}
		// Behind the four that run now.
		for _, want := range []time.Duration{5250 * time.Millisecond, 6500 * time.Millisecond, 7750 * time.Millisecond} {
			_, err := g.Join()
			if wait, retry := bridge.Crowded(err); wait != 197*time.Second || retry != want {
				t.Errorf("Join = %v, to come again in %s; want a wait of 197 s, and %s", err, retry, want)
			}
		}
		if _, err := g.JoinFirst(); err != nil {
			t.Errorf("the runner's own start: %v", err)
		}
		for _, at := range turns[80:] {
			at.Leave(false)
		}
		if _, err := g.Join(); err != nil {
			t.Errorf("with 76 ahead: %v", err)
		}
	})
}

func TestAStartHasItsTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := bridge.NewGate(1)
		turns := starts(t, g, 4)
		exited := make(chan struct{})
		close(exited)
		go turns[0].Limit(nil, time.Minute)
		go turns[1].Limit(exited, time.Minute)
		synctest.Wait()
		wantCome(t, turns, 0, 1, 2)
		time.Sleep(time.Minute)
		synctest.Wait()
		wantCome(t, turns, 0, 1, 2, 3)
		if g.Pace() != 0 {
			t.Errorf("pace %s of starts that went wrong", g.Pace())
		}
	})
}
