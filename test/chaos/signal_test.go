package chaos_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/drengskapur/fastmcp-runner/internal/layer"
)

const (
	moments = 30
	// prompt is how long the program may take to end.
	prompt = time.Second
	// slowRate is that of the registry, in bytes a second: the image takes about
	// a second.
	slowRate = 500_000
	// receipts is where the program keeps what it knows of the root.
	receipts = ".fastmcp-runner"
)

// TestSIGTERM stops the program at random moments of a pull, which are told by
// the bytes that came until then.
func TestSIGTERM(t *testing.T) {
	t.Parallel()
	img, want := newImage(t)
	addHidden(t, img, want)
	program := buildProgram(t)
	content := contentOf(t, img)
	var total int64
	for id, b := range content {
		if strings.HasPrefix(id, "sha256:") {
			total += int64(len(b))
		}
	}
	rnd := rand.New(rand.NewPCG(1, 1))
	slots := make(chan struct{}, 4)
	var all sync.WaitGroup
	for i := range moments {
		command := []string{"pull", "run"}[i%2]
		at := rnd.Int64N(total)
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			stopAt(t, &meter{content: content, at: at, reached: make(chan struct{})}, program, command, want)
		})
	}
	all.Wait()
}

// stopAt stops the program when the registry has sent so many bytes.
func stopAt(t *testing.T, m *meter, program, command string, want tree) {
	t.Helper()
	server := httptest.NewServer(m)
	defer server.Close()
	root, tmp := t.TempDir(), t.TempDir()
	var output bytes.Buffer
	cmd := exec.Command(program, command)
	cmd.Env = []string{
		"IMAGE=" + strings.TrimPrefix(server.URL, "http://") + "/" + repository, "PORT=8080",
		"RUNNER_ROOT=" + root, "RUNNER_PLATFORM=linux/amd64", "TMPDIR=" + tmp,
	}
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		t.Error(err)
		return
	}
	<-m.reached
	begin := time.Now()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Errorf("%s, %d bytes: %v", command, m.at, err)
	}
	_ = cmd.Wait() // The status says more.
	if took := time.Since(begin); took > prompt {
		t.Errorf("trap 58: %s took %s to end after %d bytes", command, took, m.at)
	}
	if code := cmd.ProcessState.ExitCode(); code != 128+int(syscall.SIGTERM) {
		t.Errorf("trap 58: %s ended with %d after %d bytes:\n%s", command, code, m.at, &output)
	}
	for _, name := range strays(t, root, want) {
		t.Errorf("trap 58: %s left %q in the root after %d bytes", command, name, m.at)
	}
	for _, name := range strays(t, tmp, nil) {
		t.Errorf("trap 58: %s left the temporary file %q after %d bytes", command, name, m.at)
	}
}

// addHidden adds to what an image holds in the end what its layers hide of one
// another: it is laid for a while.
func addHidden(t *testing.T, img v1.Image, want tree) {
	t.Helper()
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range layers {
		blob, err := l.Compressed()
		if err != nil {
			t.Fatal(err)
		}
		entries := layer.NewReader(blob, layer.Limits{})
		for {
			ent, err := entries.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if want[ent.Path] == "" {
				want[ent.Path] = "hidden"
			}
		}
		if err := errors.Join(entries.Close(), blob.Close()); err != nil {
			t.Fatal(err)
		}
	}
}

// strays returns what lies below a directory and is not in the image.
func strays(t *testing.T, top string, want tree) (names []string) {
	t.Helper()
	got, err := readTree(top)
	if err != nil {
		t.Error(err)
	}
	for name := range got {
		if _, ok := want[name]; !ok && name != receipts && !strings.HasPrefix(name, receipts+"/") {
			names = append(names, name)
		}
	}
	return names
}

func buildProgram(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "fastmcp-runner")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", program, "../../cmd/fastmcp-runner")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("cannot build the program: %v\n%s", err, out)
	}
	return program
}

// meter is a slow registry that says when it has sent some bytes.
type meter struct {
	content map[string][]byte
	at      int64

	mu      sync.Mutex
	sent    int64
	reached chan struct{} // Closed at that byte.
}

// ServeHTTP answers slowly.
func (m *meter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.Contains(r.URL.Path, "/manifests/") {
		w.Header().Set("Content-Type", string(types.DockerManifestSchema2))
	}
	body := m.content[path.Base(r.URL.Path)]
	for len(body) > 0 {
		piece := body[:min(2048, len(body))]
		body = body[len(piece):]
		select {
		case <-time.After(time.Duration(len(piece)) * time.Second / slowRate):
		case <-r.Context().Done():
			return
		}
		m.count(len(piece))
		if _, err := w.Write(piece); err != nil {
			return
		}
	}
}

func (m *meter) count(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	before := m.sent
	m.sent += int64(n)
	if before <= m.at && m.sent > m.at {
		close(m.reached)
	}
}
