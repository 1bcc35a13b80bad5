package boot_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"golang.org/x/sys/unix"

	"github.com/drengskapur/fastmcp-runner/internal/boot"
	"github.com/drengskapur/fastmcp-runner/internal/config"
	"github.com/drengskapur/fastmcp-runner/internal/hint"
	"github.com/drengskapur/fastmcp-runner/internal/host"
	"github.com/drengskapur/fastmcp-runner/internal/image"
)

// none is memory without a limit.
func none() host.Memory { return host.AskMemory(fstest.MapFS{}) }

// ofSize is a layer of which nobody reads more than its size.
type ofSize int64

func (s ofSize) Descriptor() image.Descriptor { return image.Descriptor{Size: int64(s)} }
func (ofSize) Explain(err error) error        { return err }

func (ofSize) Open(context.Context, int64) (io.ReadCloser, error) {
	return nil, errors.New("it was opened")
}

func TestAnImageThatCannotFitIsNotFetched(t *testing.T) {
	t.Parallel()
	root, top := openRoot(t)
	fits := &image.Image{Layers: []image.Layer{ofSize(1 << 10), ofSize(1 << 10)}}
	large := &image.Image{Layers: []image.Layer{ofSize(1 << 60), ofSize(1 << 60)}}
	var log bytes.Buffer
	opts := boot.Options{Log: slog.New(slog.NewTextHandler(&log, nil))}
	whole := boot.NewStart(root, host.WayInPlace, all, config.Config{}, opts)
	whole.TakeAll()
	err := whole.CheckRoom(large)
	if _, ok := errors.AsType[*boot.RoomError](err); !ok ||
		!strings.HasPrefix(err.Error(), "cannot lay the image below "+strconv.Quote(top)+": its layers have 2305843.0 TB while they are compressed, and ") ||
		!strings.Contains(hint.Of(err), "two to four times as much") {
		t.Errorf("trap 30: CheckRoom(2 EiB) = %v with the hint %q", err, hint.Of(err))
	}
	if err := whole.CheckRoom(fits); err != nil || log.Len() > 0 {
		t.Errorf("CheckRoom(2 KiB) = %v, log %q", err, &log)
	}
	some := boot.NewStart(root, host.WayInPlace, all, config.Config{}, opts)
	if err := some.CheckRoom(large); err != nil || !strings.Contains(log.String(), "The image is larger than what is free") {
		t.Errorf("CheckRoom of an image of which little is taken = %v, log %q, want only a warning", err, &log)
	}
}

func TestAnExtractionEndsBeforeTheDiskIsFull(t *testing.T) {
	t.Parallel()
	needRoot(t)
	dir := t.TempDir()
	const size = 64 << 20
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+strconv.Itoa(size)); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	}()
	room := boot.NewRoom(dir, none())
	fill(t, filepath.Join(dir, "a"), size/4)
	if err := room.Check(); err != nil {
		t.Errorf("with a quarter of the disk: %v", err)
	}
	ctx, stop := room.Watch(t.Context())
	defer stop()
	fill(t, filepath.Join(dir, "b"), size/2)
	<-ctx.Done()
	err := context.Cause(ctx)
	if _, ok := errors.AsType[*boot.RoomError](err); !ok || !strings.Contains(err.Error(), " MB of 67.1 MB are free") {
		t.Errorf("trap 30: the cause is %v", err)
	}
}

func TestAnExtractionEndsBeforeTheMemoryIsFull(t *testing.T) {
	t.Parallel()
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		t.Fatal(err)
	}
	full := "the memory of the container is nearly full: 960.0 MB of 1.0 GB are used"
	if info.Totalswap > 0 {
		full = "" // There is more.
	}
	files := fstest.MapFS{
		"proc/self/cgroup":          {Data: []byte("0::/\n")},
		"proc/self/mountinfo":       {Data: []byte("1 0 0:1 / /sys/fs/cgroup rw - cgroup2 cgroup rw\n")},
		"sys/fs/cgroup/memory.max":  {Data: []byte("1000000000\n")},
		"sys/fs/cgroup/memory.stat": {Data: []byte("anon 1\n")},
	}
	use := func(bytes string) { files["sys/fs/cgroup/memory.current"] = &fstest.MapFile{Data: []byte(bytes)} }
	use("500000000")
	room := boot.NewRoom(t.TempDir(), host.AskMemory(files))
	for _, tt := range []struct{ used, want string }{{"940000000", ""}, {"960000000", full}} {
		use(tt.used)
		if err := room.Check(); err == nil && tt.want != "" || err != nil && err.Error() != tt.want {
			t.Errorf("trap 30: with %s of 1000000000 bytes: %v, want %q", tt.used, err, tt.want)
		}
	}
}

func TestWhatIsNearlyFullAtFirstMayGetFuller(t *testing.T) {
	t.Parallel()
	files := fstest.MapFS{
		"proc/self/cgroup":             {Data: []byte("0::/\n")},
		"proc/self/mountinfo":          {Data: []byte("1 0 0:1 / /sys/fs/cgroup rw - cgroup2 cgroup rw\n")},
		"sys/fs/cgroup/memory.max":     {Data: []byte("1000000000\n")},
		"sys/fs/cgroup/memory.current": {Data: []byte("980000000\n")},
		"sys/fs/cgroup/memory.stat":    {Data: []byte("anon 1\n")},
	}
	room := boot.NewRoom(t.TempDir(), host.AskMemory(files))
	if err := room.Check(); err != nil {
		t.Errorf("what was there before counts against the image: %v", err)
	}
}

func fill(t *testing.T, name string, size int) {
	t.Helper()
	if err := os.WriteFile(name, make([]byte, size), 0o600); err != nil {
		t.Fatal(err)
	}
}
