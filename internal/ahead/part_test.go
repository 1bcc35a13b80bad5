package ahead_test

import (
	"bytes"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"

	"github.com/drengskapur/fastmcp-runner/internal/ahead"
)

// counting returns a fill that writes 0, 1, 2, ... into one buffer after the
// other, and how often it was called.
func counting() (fill func(buf *[1]byte) ([]byte, error), calls *int) {
	calls = new(int)
	return func(buf *[1]byte) ([]byte, error) {
		buf[0] = byte(*calls)
		*calls++
		return buf[:], nil
	}, calls
}

func TestAPartIsFilledAgainWhenItsLastReferenceIsReleased(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fill, calls := counting()
		r := ahead.NewReader(2, fill)
		first, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		first.Retain()
		first.Release()
		synctest.Wait()
		if *calls != 2 || first.Data()[0] != 0 {
			t.Errorf("%d parts were filled and the first holds %d, want 2 and 0: it is held still", *calls, first.Data()[0])
		}
		first.Release()
		synctest.Wait()
		if *calls != 3 {
			t.Errorf("%d parts were filled after one was released, want 3", *calls)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestNextWaitsForARelease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fill, _ := counting()
		r := ahead.NewReader(1, fill)
		held, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		next := make(chan byte)
		go func() {
			part, err := r.Next()
			if err != nil {
				t.Error(err)
			}
			next <- part.Data()[0]
		}()
		synctest.Wait()
		select {
		case <-next:
			t.Fatal("Next returned while the only part was held")
		default:
		}
		held.Release()
		if got := <-next; got != 1 {
			t.Errorf("the next part holds %d, want 1", got)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestPartsStayWhenTheReaderIsClosed(t *testing.T) {
	t.Parallel()
	r := ahead.NewReader(2, ahead.Copy(iotest.DataErrReader(strings.NewReader("content")), 16))
	part, err := r.Next()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if got := string(part.Data()); got != "content" {
		t.Errorf("after Close the part holds %q", got)
	}
	part.Release()
	if _, err := r.Next(); err != io.ErrClosedPipe { //nolint:errorlint // it is returned as it is
		t.Errorf("Next after Close = %v, want %v", err, io.ErrClosedPipe)
	}
}

func TestReleasingTooOftenIsABug(t *testing.T) {
	t.Parallel()
	r := ahead.NewReader(1, ahead.Copy(iotest.DataErrReader(strings.NewReader("content")), 16))
	defer r.Close()
	part, err := r.Next()
	if err != nil {
		t.Fatal(err)
	}
	part.Release()
	defer func() {
		if recover() == nil {
			t.Error("a second Release went unnoticed")
		}
	}()
	part.Release()
}

// Many goroutines release what one hands out, as writers of files do.
func TestPartsAreReleasedByOthers(t *testing.T) {
	t.Parallel()
	want := bytes.Repeat([]byte("0123456789abcdef"), 1<<14)
	r := ahead.NewReader(3, ahead.Copy(bytes.NewReader(want), 1000))
	type piece struct {
		part           *ahead.Part
		at, start, end int
	}
	got := make([]byte, len(want))
	pieces := make(chan piece)
	var writers sync.WaitGroup
	for range 4 {
		writers.Go(func() {
			for p := range pieces {
				copy(got[p.at:], p.part.Data()[p.start:p.end])
				p.part.Release()
			}
		})
	}
	for at := 0; ; {
		part, err := r.Next()
		if err == io.EOF { //nolint:errorlint // Next returns the end as it is
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		n := len(part.Data())
		part.Retain()
		pieces <- piece{part, at, 0, n / 3}
		pieces <- piece{part, at + n/3, n / 3, n}
		at += n
	}
	close(pieces)
	writers.Wait()
	if !bytes.Equal(got, want) {
		t.Error("the parts were changed while they were held")
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}
