package launch_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/drengskapur/fastmcp-runner/internal/launch"
)

// printProcess makes the test binary print what it was started with: the
// program of the tests that start one.
const printProcess = "--print-process"

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == printProcess {
		text, err := describeProcess()
		if err != nil {
			panic(err)
		}
		if _, err := os.Stdout.WriteString(text); err != nil {
			panic(err)
		}
		syscall.Exit(0) // an ordinary end costs a second under the race detector
	}
	m.Run()
}

// describeProcess tells the directory, argv and environment of this process as
// the kernel holds them.
func describeProcess() (string, error) {
	dir, err := os.Readlink("/proc/self/cwd")
	if err != nil {
		return "", err
	}
	argv, err := os.ReadFile("/proc/self/cmdline")
	if err != nil {
		return "", err
	}
	env, err := os.ReadFile("/proc/self/environ")
	if err != nil {
		return "", err
	}
	return description(dir, split(argv), split(env)), nil
}

func split(fields []byte) []string {
	return strings.Split(strings.TrimSuffix(string(fields), "\x00"), "\x00")
}

func description(dir string, argv, env []string) string {
	return fmt.Sprintf("dir %q\nargv %q\nenv %q\n", dir, argv, env)
}

func TestScriptAndDirectExecGiveTheSameProcess(t *testing.T) {
	t.Parallel()
	var everyByte []byte
	for b := 1; b < 256; b++ {
		everyByte = append(everyByte, byte(b))
	}
	for _, tt := range []struct {
		name    string
		program string // its name on PATH; "server" if empty
		args    []string
		env     []string
		dir     string
	}{
		{name: "plain words", args: []string{"-m", "server", "--port=7860"}, env: []string{"A=b"}},
		{name: "empty words", args: []string{"", "x", ""}, env: []string{"EMPTY="}},
		{name: "blanks and newlines", args: []string{" a  b ", "\n", "a\nb\n", "\t"}, env: []string{"LINES=a\nb\n\n", "CR=a\r\nb"}},
		{name: "quotes", args: []string{"'", "''", `"`, `\`, `\'`, `it's "so"`}, env: []string{`Q='"\`}},
		{name: "what a shell would expand", args: []string{"$HOME", "`id`", "$(id)", "~", "*", "{a,b}", "a;b", "a&b", "#", "!!"}, env: []string{"V=$PATH ~ *"}},
		{name: "every byte but NUL", args: []string{string(everyByte)}, env: []string{"BYTES=" + string(everyByte)}},
		{name: "not UTF-8", args: []string{"\xff\xfe", "\xc3"}, env: []string{"L\xe9=\xe9"}},
		{name: "leading dashes", args: []string{"-", "--", "-i", "--help"}, env: []string{"-u=1", "--help=2", "-=3"}},
		{name: "words with =", args: []string{"A=b", "=", "=x"}, env: []string{"OPTS=a=b=c"}},
		{name: "trap 51: names that are no shell identifiers", env: []string{"a.b=1", "a-b=2", "1=3", "a b=4", "a'b=5", "%=6"}},
		{name: "names that a shell would set or drop", env: []string{"PWD=/nowhere", "OLDPWD=/nowhere", "_=x", "SHLVL=7", "IFS=x", "PS4=x", "PPID=1", "BASH_ENV=/x", "ENV=/x"}},
		{name: "a command with =", program: "a=b", args: []string{"C=d"}},
		{name: "a command with a leading dash", program: "-server"},
		{name: "a command with both", program: "-a=b"},
		{name: "a command that a shell would not find", program: "it's $0\n\xff"},
		{name: "a directory of nasty bytes", dir: "-a 'b'\n\xff=$HOME"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			bin, program := programDir(t, tt.program)
			dir := filepath.Join(t.TempDir(), tt.dir)
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			set := settings()
			set.Passthrough = []string{"SECRET=it's"}
			plan, err := launch.New(launch.Image{
				Entrypoint: append([]string{program, printProcess}, tt.args...),
				Env:        append(tt.env, "PATH="+bin),
				WorkingDir: dir,
			}, set)
			if err != nil {
				t.Fatal(err)
			}
			script := filepath.Join(t.TempDir(), "launcher.sh")
			if err := os.WriteFile(script, []byte(plan.Script()), 0o500); err != nil {
				t.Fatal(err)
			}
			direct := output(t, &exec.Cmd{Path: filepath.Join(bin, program), Args: plan.Argv, Env: plan.Env, Dir: plan.Dir})
			scripted := output(t, exec.Command("/bin/sh", script))
			if diff := cmp.Diff(direct, scripted); diff != "" {
				t.Errorf("-direct +scripted\n%s\n%s", diff, plan.Script())
			}
			if want := description(plan.Dir, plan.Argv, plan.Env); direct != want {
				t.Errorf("the process: -want +got\n%s", cmp.Diff(want, direct))
			}
		})
	}
}

// programDir returns a directory that holds this test binary under a name.
func programDir(t *testing.T, name string) (dir, program string) {
	t.Helper()
	if name == "" {
		name = "server"
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	if err := os.Symlink(self, filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
	return dir, name
}

func output(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%q: %v\n%s", cmd.Args, err, stderr.String())
	}
	return stdout.String()
}

func TestScriptReadsWell(t *testing.T) {
	t.Parallel()
	set := settings()
	set.Passthrough = []string{"API_KEY=it's s3cret"}
	plan, err := launch.New(launch.Image{
		Env: []string{"PATH=/usr/bin"}, Entrypoint: []string{"python", "-c", "print('hi')"},
	}, set)
	if err != nil {
		t.Fatal(err)
	}
	const want = `#!/bin/sh
# What FastMCP Runner starts, as user 1000:1000. Written for reading and rerunning.
cd /app && exec env -i -- \
  %s \
  HOME=/home/user \
  HOST=0.0.0.0 \
  MCP_PATH=/mcp \
  MCP_TRANSPORT=streamable-http \
  PATH=/usr/bin \
  PORT=7860 \
  python -c 'print('\''hi'\'')'
`
	if diff := cmp.Diff(fmt.Sprintf(want, `'API_KEY=it'\''s s3cret'`), plan.Script()); diff != "" {
		t.Errorf("Script: -want +got\n%s", diff)
	}
	if diff := cmp.Diff(fmt.Sprintf(want, `'API_KEY=[redacted]'`), plan.RedactedScript()); diff != "" {
		t.Errorf("RedactedScript: -want +got\n%s", diff)
	}
}
