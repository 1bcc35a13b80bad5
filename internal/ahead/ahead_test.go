package ahead_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"
	"testing/synctest"

	"github.com/drengskapur/fastmcp-runner/internal/ahead"
)

func TestReadDeliversEverythingInOrder(t *testing.T) {
	t.Parallel()
	want := make([]byte, 1<<20+17)
	rnd := rand.New(rand.NewPCG(1, 2))
	for i := range want {
		want[i] = byte(rnd.Uint32())
	}
	for name, src := range map[string]func() io.Reader{
		"whole":                func() io.Reader { return bytes.NewReader(want) },
		"with the end at once": func() io.Reader { return iotest.DataErrReader(bytes.NewReader(want)) },
		"by halves":            func() io.Reader { return iotest.HalfReader(bytes.NewReader(want)) },
	} {
		for _, n := range []int{1, 2, 5} {
			r := ahead.NewReader(n, ahead.Copy(src(), 4096))
			got, err := io.ReadAll(r)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s, %d buffers: %d bytes, %v, want the %d that went in", name, n, len(got), err, len(want))
			}
			if err := r.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestAnErrorComesAfterWhatPrecedesIt(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	r := ahead.NewReader(3, ahead.Copy(io.MultiReader(bytes.NewReader([]byte("before")), iotest.ErrReader(broken)), 8))
	defer r.Close()
	got, err := io.ReadAll(r)
	if string(got) != "before" || !errors.Is(err, broken) {
		t.Errorf("ReadAll = %q, %v, want what precedes the error, and it", got, err)
	}
	if _, err := r.Read(make([]byte, 1)); !errors.Is(err, broken) {
		t.Errorf("Read after the error = %v, want it again", err)
	}
}

func TestNoMoreIsFilledThanThereAreBuffers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		r := ahead.NewReader(3, func(buf *[1]byte) ([]byte, error) {
			calls++
			return buf[:], nil
		})
		synctest.Wait()
		if calls != 3 {
			t.Errorf("%d parts were filled ahead, want 3", calls)
		}
		if _, err := io.CopyN(io.Discard, r, 3); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if calls != 6 {
			t.Errorf("%d parts were filled after three were read, want 6", calls)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if _, err := r.Read(make([]byte, 1)); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("Read after Close = %v, want %v", err, io.ErrClosedPipe)
		}
	})
}

// TestCloseEndsAReadElsewhere fails by a panic, or by waiting for ever.
func TestCloseEndsAReadElsewhere(t *testing.T) {
	t.Parallel()
	for range 200 {
		r := ahead.NewReader(2, func(buf *[16]byte) ([]byte, error) { return buf[:], nil })
		read := make(chan error)
		go func() {
			_, err := io.Copy(io.Discard, r)
			read <- err
		}()
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if err := <-read; !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("the other goroutine read to %v, want %v", err, io.ErrClosedPipe)
		}
	}
}

func TestCloseWaitsForTheFillUnderWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		source, feed := io.Pipe()
		r := ahead.NewReader(2, ahead.Copy(source, 16))
		synctest.Wait() // for the fill to be under way
		closed := make(chan struct{})
		go func() {
			defer close(closed)
			if err := r.Close(); err != nil {
				t.Error(err)
			}
		}()
		synctest.Wait()
		select {
		case <-closed:
			t.Fatal("Close did not wait")
		default:
		}
		if err := feed.Close(); err != nil {
			t.Fatal(err)
		}
		<-closed
	})
}
