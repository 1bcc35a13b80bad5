package layer_test

import (
	"bytes"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"github.com/drengskapur/fastmcp-runner/internal/layer"
)

// fileOf returns an archive of one file of n bytes by chance.
func fileOf(n int) (archive, content []byte) {
	random := rand.NewChaCha8([32]byte{1})
	content = make([]byte, n)
	_, _ = random.Read(content) // it never fails
	return join(member{name: "a", body: string(content)}.bytes(), trailer()), content
}

// Writers in other goroutines, of which each is slower than the decoder, find
// what was in a chunk when it was handed out.
func TestChunksStayUntilTheyAreReleased(t *testing.T) {
	t.Parallel()
	archive, want := fileOf(4 << 20)
	for kind, blob := range map[string][]byte{"plain": archive, "gzip": gzipped(archive), "zstd": zstandard(archive)} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			r := layer.NewReader(bytes.NewReader(blob), layer.Limits{})
			defer r.Close()
			if _, err := r.Next(); err != nil {
				t.Fatal(err)
			}
			type write struct {
				chunk layer.Chunk
				at    int
			}
			writes := make(chan write, 2)
			got := make([]byte, len(want))
			var writers sync.WaitGroup
			for range 3 {
				writers.Go(func() {
					for w := range writes {
						runtime.Gosched()
						copy(got[w.at:], w.chunk.Data)
						w.chunk.Release()
					}
				})
			}
			at := 0
			for {
				chunk, err := r.Chunk()
				if isEnd(err) {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				n := len(chunk.Data)
				writes <- write{chunk, at}
				at += n
			}
			close(writes)
			writers.Wait()
			if !bytes.Equal(got, want) {
				t.Error("the content was changed while chunks were held")
			}
		})
	}
}

// Who holds chunks stops the decoder, and nothing else: headers that lie in more
// parts than there are buffers are read while one is held.
func TestHeldChunksStopTheDecoder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		long := strings.Repeat("d/", 2000)
		archive := join(
			member{name: "a", body: "held"}.bytes(),
			pax("comment", strings.Repeat("x", 1<<20-100)), gnuLong('L', long+"b"), member{name: "b"}.bytes(),
			member{name: "c", body: strings.Repeat("c", 4<<20)}.bytes())
		source := &countingReader{r: bytes.NewReader(archive)}
		r := layer.NewReader(source, layer.Limits{})
		defer r.Close()
		if _, err := r.Next(); err != nil {
			t.Fatal(err)
		}
		held, err := r.Chunk()
		if err != nil {
			t.Fatal(err)
		}
		if ent, err := r.Next(); err != nil || ent.Path != long+"b" {
			t.Fatalf("Next = %.20q, %v, want the long name", ent.Path, err)
		}
		if _, err := r.Next(); err != nil {
			t.Fatal(err)
		}
		chunks := make(chan layer.Chunk, 100)
		go func() {
			defer close(chunks)
			for {
				chunk, err := r.Chunk()
				if err != nil {
					return
				}
				chunks <- chunk
			}
		}()
		synctest.Wait()
		if source.n > 2<<20 {
			t.Errorf("%d bytes were read while nothing was released, want less than 2 MiB", source.n)
		}
		if string(held.Data) != "held" {
			t.Errorf("the chunk that was held has %q now", held.Data)
		}
		held.Release()
		size := 0
		for chunk := range chunks {
			size += len(chunk.Data)
			chunk.Release()
		}
		if size != 4<<20 {
			t.Errorf("%d bytes of content, want %d", size, 4<<20)
		}
	})
}

// countingReader counts what was read of r.
type countingReader struct {
	r io.Reader
	n int
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += n
	return n, err
}

func TestHolesAreNoData(t *testing.T) {
	t.Parallel()
	sparse := join(
		pax("GNU.sparse.major", "1", "GNU.sparse.minor", "0", "GNU.sparse.name", "s", "GNU.sparse.realsize", "1000000"),
		member{name: "x", body: "4\n10\n2\n12\n0\n12\n1\n500000\n3\n" + strings.Repeat("\x00", blockSize-26) + "abcdef"}.bytes())
	r := layer.NewReader(bytes.NewReader(sparse), layer.Limits{})
	defer r.Close()
	if ent, err := r.Next(); err != nil || ent.Size != 1_000_000 {
		t.Fatalf("Next = %+v, %v, want 1000000 bytes", ent, err)
	}
	type piece struct {
		Data string
		Hole int64
	}
	var got []piece
	for {
		chunk, err := r.Chunk()
		if isEnd(err) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, piece{string(chunk.Data), chunk.Hole})
		chunk.Release()
	}
	want := []piece{{"", 10}, {"ab", 0}, {"c", 0}, {"", 499_987}, {"def", 0}, {"", 499_997}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("pieces (-want +got):\n%s", diff)
	}
}

// What most entries cost is that they are read and then excluded.
func TestAnEntryIsOneAllocation(t *testing.T) { //nolint:paralleltest // it counts what the whole program allocates
	const n = 2000
	for _, archive := range [][]byte{headers(n), headers(n, "mtime", "1700000000.123456789")} {
		before := readMemory()
		r := layer.NewReader(bytes.NewReader(archive), layer.Limits{})
		skipAll(t, r)
		if got := readMemory().Mallocs - before.Mallocs; got > n+n/10 {
			t.Errorf("%d allocations for %d entries, want one for each, which is its path", got, n)
		}
	}
}

func TestMemory(t *testing.T) { //nolint:paralleltest // it counts what the whole program allocates
	archive, _ := fileOf(10 << 20)
	for _, tt := range []struct {
		name  string
		blob  []byte
		limit uint64
	}{
		{"plain", archive, 1 << 20},
		{"gzip", gzipped(archive), 3 << 20},
		{"zstd with a window of 8 MiB", zstandard(archive, zstd.WithWindowSize(8<<20)), 12 << 20},
	} {
		before := readMemory()
		r := layer.NewReader(bytes.NewReader(tt.blob), layer.Limits{})
		skipAll(t, r)
		if used := readMemory().TotalAlloc - before.TotalAlloc; used > tt.limit {
			t.Errorf("%s: reading 10 MiB allocated %d bytes, want at most %d", tt.name, used, tt.limit)
		}
	}
}

func readMemory() runtime.MemStats {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m
}

// skipAll reads the entries of a layer to its end.
func skipAll(t *testing.T, r *layer.Reader) {
	t.Helper()
	defer r.Close()
	for {
		if _, err := r.Next(); isEnd(err) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
}
