package launch_test

import (
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/syntax"

	"github.com/drengskapur/fastmcp-runner/internal/launch"
)

// FuzzNew reads its lists as lines, so that the fuzzer can make entries with
// every byte but the newline.
func FuzzNew(f *testing.F) {
	f.Add("python\n-m", "server", "PATH=/bin\nA.B=c", "HOME=/root", "KEY=it's", "/app", "8000/tcp", uint16(7860), true)
	f.Add("/entrypoint.sh", "", "=\nA\nA=\x00", "", "PORT=1", "..", "x-y/udp\n-", uint16(0), true)
	f.Add("a=b\n", "\xff\n$(id)\n'", "-i=1\nA=1\nA=2\nPORT=x", "PATH=", "HOST=\r", "-a/\x81", "", uint16(80), false)
	f.Fuzz(func(t *testing.T, entrypoint, cmd, env, environ, passthrough, dir, ports string, port uint16, allowlist bool) {
		img := launch.Image{
			Env: list(env), WorkingDir: dir, Entrypoint: list(entrypoint), Cmd: list(cmd),
			User: passthrough, ExposedPorts: list(ports), StopSignal: environ,
		}
		set := settings()
		set.Environ, set.Passthrough, set.Port, set.Allowlist = list(environ), list(passthrough), int(port), allowlist
		plan, err := launch.New(img, set)
		if err != nil {
			return
		}
		if again, err := launch.New(img, set); err != nil || !cmp.Equal(plan, again) {
			t.Errorf("New is not deterministic: %v, then %v, %v", plan, again, err)
		}
		checkEnv(t, plan, set)
		checkScript(t, plan)
	})
}

func list(lines string) []string {
	if lines == "" {
		return nil
	}
	return strings.Split(lines, "\n")
}

func checkEnv(t *testing.T, plan launch.Plan, set launch.Settings) {
	t.Helper()
	values := asMap(t, plan.Env)
	for name, want := range map[string]string{
		"PORT": strconv.Itoa(set.Port), "HOST": set.Host, "MCP_TRANSPORT": set.Transport, "MCP_PATH": set.Path,
	} {
		if values[name] != want {
			t.Errorf("%s = %q, want %q", name, values[name], want)
		}
	}
	if !slices.IsSortedFunc(plan.Env, func(a, b string) int {
		nameA, _, _ := strings.Cut(a, "=")
		nameB, _, _ := strings.Cut(b, "=")
		return strings.Compare(nameA, nameB)
	}) {
		t.Errorf("Env is not sorted: %q", plan.Env)
	}
	for _, text := range slices.Concat(plan.Argv, plan.Env, []string{plan.Dir}) {
		if strings.Contains(text, "\x00") {
			t.Errorf("%q holds a NUL byte", text)
		}
	}
}

// checkScript reads the script as a shell would: cd to the directory, and then
// exec, with the plan's words. The parser insists on UTF-8; that the shell does
// not is shown by TestScriptAndDirectExecGiveTheSameProcess.
func checkScript(t *testing.T, plan launch.Plan) {
	t.Helper()
	script := strings.ToValidUTF8(plan.Script(), "?")
	file, err := syntax.NewParser(syntax.Variant(syntax.LangPOSIX)).Parse(strings.NewReader(script), "")
	if err != nil {
		t.Fatalf("the script does not parse: %v\n%q", err, script)
	}
	if len(file.Stmts) != 1 {
		t.Fatalf("the script has %d statements\n%q", len(file.Stmts), script)
	}
	and, ok := file.Stmts[0].Cmd.(*syntax.BinaryCmd)
	if !ok || and.Op != syntax.AndStmt {
		t.Fatalf("the script is not one && list\n%q", script)
	}
	env := []string{"exec", "env", "-i", "--"}
	program := plan.Argv
	if strings.Contains(program[0], "=") {
		program = append([]string{"command -v nice", "-n", "0", "--"}, program...)
	}
	if diff := cmp.Diff(validUTF8([]string{"cd", plan.Dir}), words(t, and.X)); diff != "" {
		t.Errorf("the first command: -want +got\n%s", diff)
	}
	if diff := cmp.Diff(validUTF8(env, plan.Env, program), words(t, and.Y)); diff != "" {
		t.Errorf("the second command: -want +got\n%s", diff)
	}
}

// words returns the words of a simple command as the shell expands them.
func words(t *testing.T, stmt *syntax.Stmt) []string {
	t.Helper()
	call, ok := stmt.Cmd.(*syntax.CallExpr)
	if !ok || len(call.Assigns) > 0 || len(stmt.Redirs) > 0 {
		t.Fatalf("%T is not a simple command", stmt.Cmd)
	}
	cfg := &expand.Config{CmdSubst: func(w io.Writer, cs *syntax.CmdSubst) error {
		return syntax.NewPrinter(syntax.SingleLine(true)).Print(w, cs.Stmts[0])
	}}
	fields, err := expand.Fields(cfg, call.Args...)
	if err != nil {
		t.Fatal(err)
	}
	return fields
}

func validUTF8(lists ...[]string) []string {
	var valid []string
	for _, text := range slices.Concat(lists...) {
		valid = append(valid, strings.ToValidUTF8(text, "?"))
	}
	return valid
}
