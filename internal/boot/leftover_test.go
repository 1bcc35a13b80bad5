package boot_test

import (
	"bytes"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/drengskapur/fastmcp-runner/internal/boot"
	"github.com/drengskapur/fastmcp-runner/internal/config"
	"github.com/drengskapur/fastmcp-runner/internal/hint"
	"github.com/drengskapur/fastmcp-runner/internal/host"
	"github.com/drengskapur/fastmcp-runner/internal/receipt"
	"github.com/drengskapur/fastmcp-runner/internal/rootfs"
)

// leftovers names the directory that the test below prepared as root, for the
// process that looks at it as somebody else.
const leftovers = "TEST_LEFTOVERS"

// TestWhatRootLeftForAUser lays images as root, and then starts as uid 1000.
func TestWhatRootLeftForAUser(t *testing.T) {
	t.Parallel()
	if dir := os.Getenv(leftovers); dir != "" {
		testLeftovers(t, dir)
		return
	}
	needRoot(t)
	dir := t.TempDir()
	for _, name := range []string{"readable", "closed", "unreadable"} {
		top := filepath.Join(dir, name)
		write(t, top, "app/")
		root, err := rootfs.Open(top)
		if err != nil {
			t.Fatal(err)
		}
		lay(t, root, top, receipt.Key{Digest: "sha256:a"}, true, "app/f")
		give(t, top, "app", "app/f")
		if err := root.Close(); err != nil {
			t.Fatal(err)
		}
	}
	chmod(t, filepath.Join(dir, "closed", receipt.Dir), 0o700)
	chmod(t, filepath.Join(dir, "unreadable", receipt.Dir, "receipt"), 0o600)
	give(t, filepath.Join(dir, "unreadable"), receipt.Dir)
	runAsUser(t, dir)
}

func testLeftovers(t *testing.T, dir string) {
	t.Helper()
	a, b := receipt.Key{Digest: "sha256:a"}, receipt.Key{Digest: "sha256:b"}
	for _, test := range []struct {
		name, root string
		key        receipt.Key
		found      bool
		err, warns string
	}{
		{name: "the same image is found", root: "readable", key: a, found: true},
		{name: "another image cannot take its place while the receipt stays", root: "readable", key: b, err: "cannot void the receipt"},
		{name: "nor one that may be there, as far as can be told", root: "closed", key: b, err: "cannot void the receipt"},
		{name: "a receipt that can be voided is in nobody's way", root: "unreadable", key: b, warns: "Cannot read what an earlier start left"},
	} {
		root, err := rootfs.Open(filepath.Join(dir, test.root))
		if err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		start := boot.NewStart(root, host.WayInPlace, all, config.Config{}, boot.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
		found, err := start.MakeRoom(test.key)
		if found != test.found || test.err == "" && err != nil {
			t.Errorf("%s: makeRoom = %v, %v", test.name, found, err)
		}
		if test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err) || !strings.Contains(hint.Of(err), "use a new container")) {
			t.Errorf("%s: the error is %v with the hint %q", test.name, err, hint.Of(err))
		}
		if !strings.Contains(log.String(), test.warns) {
			t.Errorf("%s: the log is %q, want %q in it", test.name, log.String(), test.warns)
		}
		if !exists(filepath.Join(dir, test.root), "app/f") {
			t.Errorf("%s: its files were removed", test.name)
		}
		if err := root.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestWhatAUserLeftForRoot(t *testing.T) {
	t.Parallel()
	needRoot(t)
	root, top := openRoot(t)
	key := receipt.Key{Digest: "sha256:a"}
	lay(t, root, top, key, true, "app/theirs", "app/roots")
	give(t, top, receipt.Dir, receipt.Dir+"/receipt", "app/theirs")
	var log bytes.Buffer
	start := boot.NewStart(root, host.WayInPlace, all, config.Config{}, boot.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	if found, err := start.MakeRoom(key); found || err != nil {
		t.Errorf("makeRoom = %v, %v, want that root believes nobody else", found, err)
	}
	if !strings.Contains(log.String(), `msg="Do not believe what an earlier start as another user left" uid=1000`) {
		t.Errorf("the log does not say so:\n%s", log.String())
	}
	if exists(top, "app/theirs") || !exists(top, "app/roots") {
		t.Error("root did not remove that user's file, or another one on that user's word")
	}
}

func give(t *testing.T, top string, paths ...string) {
	t.Helper()
	for _, p := range paths {
		if err := os.Chown(filepath.Join(top, p), 1000, 1000); err != nil {
			t.Fatal(err)
		}
	}
}

func chmod(t *testing.T, name string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(name, mode); err != nil {
		t.Fatal(err)
	}
}

// runAsUser runs the calling test once more as uid 1000, from a copy of the test
// binary that this user may execute.
func runAsUser(t *testing.T, dir string) {
	t.Helper()
	chmod(t, dir, 0o755)
	chmod(t, filepath.Dir(dir), 0o755)
	bin := filepath.Join(dir, "test")
	copyTestBinary(t, bin)
	cmd := exec.CommandContext(t.Context(), bin, "-test.run=^"+t.Name()+"$")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), leftovers+"="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 1000, Gid: 1000}}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("as uid 1000: %v\n%s", err, out)
	}
}

func copyTestBinary(t *testing.T, to string) {
	t.Helper()
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer self.Close()
	f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(f, self); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}
