package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// tell runs the demonstration to its end and returns what it printed. It goes
// to a file, because the server writes to it as well.
func tell(t *testing.T, runner string) (string, error) {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "story"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	ending := demo{out: file, runner: runner, once: true}.tell(t.Context())
	story, err := os.ReadFile(file.Name())
	if err != nil {
		t.Fatal(err)
	}
	return string(story), ending
}

func TestTheDemonstrationTellsItsStoryAndLeavesNothingBehind(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	runner := filepath.Join(t.TempDir(), "fastmcp-runner")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", runner, "github.com/drengskapur/fastmcp-runner/cmd/fastmcp-runner")
	build.Env = append(build.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("cannot build the runner: %v\n%s", err, output)
	}
	// The way to the temporary directory is for the server as well, which may
	// be another user.
	for _, dir := range []string{os.TempDir(), filepath.Dir(os.TempDir())} {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}

	story, err := tell(t, runner)
	if err != nil {
		t.Fatalf("tell: %v\n%s", err, story)
	}
	for _, part := range []string{
		"initialize: this is greeter 1.0.0, protocol 2025-11-25",
		"tools/list: greet, runtime_facts",
		`tools/call greet: {"text":"Hello, Ada!"}`,
		"Starting MCP server",
	} {
		if !strings.Contains(story, part) {
			t.Errorf("the story has no %q:\n%s", part, story)
		}
	}
	left, err := os.ReadDir(os.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range left {
		if strings.HasPrefix(entry.Name(), "fastmcp-demo-") {
			t.Errorf("%s was left behind", entry.Name())
		}
	}
}

func TestADemonstrationThatCannotWorkSaysWhy(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, runner, want string
	}{
		{"the runner is not built", filepath.Join(t.TempDir(), "none"), "make build"},
		{"the runner fails", "/bin/false", "the runner ended before the server answered: exit status 1"},
		{"the runner ends without a server", "/bin/true", "the runner ended before the server answered: exit status 0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			story, err := tell(t, tt.runner)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("tell = %v, want an error with %q\n%s", err, tt.want, story)
			}
		})
	}
}

func TestGutter(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	g := &gutter{out: &out}
	for _, part := range []string{"one\ntw", "o\n", "", "three"} {
		if n, err := g.Write([]byte(part)); n != len(part) || err != nil {
			t.Fatalf("Write(%q) = %d, %v", part, n, err)
		}
	}
	if err := g.flush(); err != nil {
		t.Fatal(err)
	}
	if got, want := out.String(), "     | one\n     | two\n     | three\n"; got != want {
		t.Errorf("the lines are %q, want %q", got, want)
	}
}
