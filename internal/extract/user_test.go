package extract_test

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// runAsUser runs the calling test once more as uid 1000: the test binary is
// copied to where that user may execute it.
func runAsUser(t *testing.T) {
	t.Helper()
	tmp := t.TempDir()
	top := filepath.Dir(tmp)
	for _, name := range []string{top, tmp} {
		if err := os.Chmod(name, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	bin := filepath.Join(top, "test")
	copyTestBinary(t, bin)
	cmd := exec.CommandContext(t.Context(), bin, "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Dir = tmp
	cmd.Env = append(os.Environ(), "TMPDIR="+tmp)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 1000, Gid: 1000}}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("as uid 1000: %v\n%s", err, out)
	}
}

func copyTestBinary(t *testing.T, to string) {
	t.Helper()
	syscall.ForkLock.RLock() // a process that is born now would have the copy open for writing: ETXTBSY
	defer syscall.ForkLock.RUnlock()
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
