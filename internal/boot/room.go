package boot

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/drengskapur/fastmcp-runner/internal/hint"
	"github.com/drengskapur/fastmcp-runner/internal/host"
	"github.com/drengskapur/fastmcp-runner/internal/image"
)

const (
	// freeDisk is what an extraction leaves free of the disk, or half of what is
	// free when it begins, if that is less.
	freeDisk = 64 << 20
	// freeMemory is the same of the memory, as a part of the limit: beyond it the
	// kernel is about to kill, without a word to anybody.
	freeMemory = 20
	// roomInterval is how often an extraction is looked at. It writes some 20 MB
	// in that time.
	roomInterval = 25 * time.Millisecond
)

// RoomError says that there is too little room for the image.
type RoomError struct{ msg string }

func (e *RoomError) Error() string { return e.msg }

func isRoomError(err error) bool {
	_, ok := errors.AsType[*RoomError](err)
	return ok
}

const diskHint = "give the container more disk, or memory where its file system lies in memory"

// room is what an extraction can fill, and where it must end. Zero limits are
// none.
type room struct {
	dir       string
	leastFree uint64
	memory    host.Memory
	mostUsed  int64
}

// newRoom looks at the room below a directory before the extraction.
func newRoom(dir string, memory host.Memory) room {
	r := room{dir: dir, memory: memory}
	if disk := host.AskFileSystem(dir); disk != nil && disk.SizeBytes > 0 {
		r.leastFree = min(freeDisk, disk.FreeBytes/2)
	}
	limit, limited := memory.Limit()
	used, known := memory.Used()
	if limited && known && !hasSwap() {
		r.mostUsed = limit - min(limit/freeMemory, (limit-used)/2)
	}
	return r
}

// hasSwap reports whether memory that is full can be had elsewhere.
func hasSwap() bool {
	var info unix.Sysinfo_t
	err := unix.Sysinfo(&info)
	return err == nil && info.Totalswap > 0
}

// checkRoom refuses an image that cannot fit, before any of it is fetched. All
// that is known of it by then is how large its layers are while they are
// compressed, and in allowlist mode not even how much of them is taken.
func (s *start) checkRoom(img *image.Image) error {
	dir, need := s.layout.root.Join("/"), totalSize(img)
	disk := host.AskFileSystem(dir)
	if disk == nil || disk.SizeBytes == 0 || uint64(max(need, 0)) <= disk.FreeBytes {
		return nil
	}
	free := Size(disk.FreeBytes) //nolint:gosec // less than need, which is a Size
	if !s.layout.all {
		s.opts.Log.Warn("The image is larger than what is free: it fits only if little of it is taken", "compressed", Size(need), "free", free)
		return nil
	}
	return hint.Add(&RoomError{fmt.Sprintf("cannot lay the image below %q: its layers have %v while they are compressed, and %v are free", dir, Size(need), free)},
		"unpacked they need two to four times as much: "+diskHint)
}

// watch returns a context that ends with a RoomError while there still is some
// room, so that a bomb, or an image that is merely too large, harms nobody else.
// It ends with the returned function, too.
func (r room) watch(ctx context.Context) (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		ticker := time.NewTicker(roomInterval)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				if err := r.check(); err != nil {
					cancel(err)
					return
				}
			case <-ctx.Done():
				return
			}
		}
	})
	return ctx, func() {
		cancel(nil)
		wg.Wait()
	}
}

// check returns a RoomError if there is next to no room left.
func (r room) check() error {
	disk := host.AskFileSystem(r.dir)
	if disk != nil && disk.FreeBytes < r.leastFree {
		return hint.Add(&RoomError{fmt.Sprintf("the file system of %q is nearly full: %v of %v are free", r.dir, Size(disk.FreeBytes), Size(disk.SizeBytes))}, //nolint:gosec // no disk is that large
			"a manifest tells only the compressed sizes, so the need shows while unpacking: "+diskHint)
	}
	if used, ok := r.memory.Used(); ok && r.mostUsed > 0 && used > r.mostUsed {
		limit, _ := r.memory.Limit()
		return hint.Add(&RoomError{fmt.Sprintf("the memory of the container is nearly full: %v of %v are used", Size(used), Size(limit))},
			"where its file system lies in memory, the image's files take it too: give the container more memory")
	}
	return nil
}
