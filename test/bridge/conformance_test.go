package bridge_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/drengskapur/fastmcp-runner/test/packages"
	"github.com/drengskapur/fastmcp-runner/test/program"
)

// conformanceServer is the official SDK's server for the official suite.
const conformanceServer = "github.com/modelcontextprotocol/go-sdk/conformance/everything-server"

var (
	modernServer = program.CompileIn(".", conformanceServer)
	legacyServer = program.CompileIn(filepath.Join("testdata", "legacy"), conformanceServer)
)

// TestConformance runs the official suite.
func TestConformance(t *testing.T) {
	t.Parallel()
	modern, legacy := modernServer.Path(t), legacyServer.Path(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name      string
		server    []string
		suite     string
		arguments []string
		scenarios int
		// fail are the scenarios that fail, and why they must.
		fail map[string]string
		// also are scenarios that do not count, and pass.
		also []string
	}{
		{
			name: "0.1, the SDK 1.8", server: []string{modern},
			suite: "suite-0.1", arguments: []string{"--suite", "active"}, scenarios: 30,
		},
		{
			name: "0.1, the SDK 1.6", server: []string{legacy},
			suite: "suite-0.1", arguments: []string{"--suite", "active"}, scenarios: 30,
		},
		{
			name: "2025-11-25, the SDK 1.8", server: []string{modern},
			suite: "suite-0.2", arguments: []string{"--requirements", "2025-11-25"}, scenarios: 30,
			also: []string{"json-schema-2020-12", "server-session-lifecycle"},
		},
		{
			name: "2025-11-25, the SDK 1.6", server: []string{legacy},
			suite: "suite-0.2", arguments: []string{"--requirements", "2025-11-25"}, scenarios: 30,
			also: []string{"server-session-lifecycle"},
		},
		{
			name: "2026-07-28, the SDK 1.8", server: []string{modern},
			suite: "suite-0.2", arguments: []string{"--requirements", "2026-07-28"}, scenarios: 37,
			also: []string{"json-schema-2020-12", "http-header-validation", "http-custom-header-server-validation"},
		},
		{
			name: "2026-07-28, the SDK 1.8 as if it were older", server: []string{self, "serve", "legacy", modern},
			suite: "suite-0.2", arguments: []string{"--requirements", "2026-07-28"}, scenarios: 37,
			also: []string{"json-schema-2020-12", "http-custom-header-server-validation"},
			fail: map[string]string{
				"input-required-result-basic-elicitation": "an older server does not name its questions, so that the bridge does",
				"input-required-result-multi-round":       "the server keeps a requestState of its own, which an older one does not have",
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := conform(t, start(t, nil, tt.server...).url, tt.suite, tt.arguments...)
			if len(got.scored) != tt.scenarios {
				t.Errorf("%d scenarios were scored, want %d", len(got.scored), tt.scenarios)
			}
			if diff := cmp.Diff(slices.Sorted(maps.Keys(tt.fail)), got.failing()); diff != "" {
				t.Errorf("failing scenarios: -want +got\n%s", diff)
			}
			for _, name := range tt.also {
				if !got.unscored[name] {
					t.Errorf("scenario %s fails, although it need not", name)
				}
			}
			if t.Failed() {
				t.Log(got.text)
			}
		})
	}
}

// report is what the suite says.
type report struct {
	// scored and unscored say of each scenario whether it passed.
	scored, unscored map[string]bool
	text             string
}

// failing returns the scored scenarios that failed.
func (r *report) failing() []string {
	var names []string
	for name, passed := range r.scored {
		if !passed {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// conform runs a suite against an endpoint.
func conform(t *testing.T, endpoint, suite string, arguments ...string) *report {
	t.Helper()
	node, err := packages.Node(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	dir, err := packages.NPM(t.Context(),
		"suite-0.1@npm:@modelcontextprotocol/conformance@0.1.16",
		"suite-0.2@npm:@modelcontextprotocol/conformance@0.2.0-alpha.12")
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "node_modules", suite, "dist", "index.js")
	out, err := exec.CommandContext(t.Context(), node, append([]string{program, "server", "--url", endpoint}, arguments...)...).CombinedOutput()
	if _, failed := errors.AsType[*exec.ExitError](err); err != nil && !failed {
		t.Fatal(err)
	}
	return readReport(string(out))
}

var (
	// summaryLine is such as "✓ tools-list: 4 passed, 0 failed".
	summaryLine = regexp.MustCompile(`^[✓✗] ([a-z0-9-]+): (\d+) passed, (\d+) failed`)
	// unscoredLine is such as "  ✓ json-schema-2020-12 (pending)".
	unscoredLine = regexp.MustCompile(`^ +[✓✗] ([a-z0-9-]+) \([a-z-]+\)$`)
)

// readReport reads what the suite prints. A scenario that has checked nothing
// has not passed.
func readReport(text string) *report {
	r := &report{scored: map[string]bool{}, unscored: map[string]bool{}, text: text}
	_, summary, _ := strings.Cut(text, "=== SUMMARY ===")
	for line := range strings.Lines(summary) {
		line = strings.TrimSuffix(line, "\n")
		if m := summaryLine.FindStringSubmatch(line); m != nil {
			passed, errPassed := strconv.Atoi(m[2])
			r.scored[m[1]] = errPassed == nil && passed > 0 && m[3] == "0"
		}
		if m := unscoredLine.FindStringSubmatch(line); m != nil {
			r.unscored[m[1]] = r.scored[m[1]]
			delete(r.scored, m[1])
		}
	}
	return r
}

func TestReadReportCountsWhatTheSuitePrints(t *testing.T) {
	t.Parallel()
	got := readReport("✓ before: 1 passed, 0 failed\n=== SUMMARY ===\n✓ a: 3 passed, 0 failed\n✗ b: 1 passed, 2 failed\n" +
		"✓ c: 0 passed, 0 failed\n✓ d: 1 passed, 0 failed\n✗ e: 0 passed, 1 failed\n\nTotal: 5 passed, 3 failed\n\nNot scored:\n  ✓ d (pending)\n  ✗ e (extension)\n")
	if diff := cmp.Diff(map[string]bool{"a": true, "b": false, "c": false}, got.scored); diff != "" {
		t.Errorf("scored: -want +got\n%s", diff)
	}
	if diff := cmp.Diff(map[string]bool{"d": true, "e": false}, got.unscored); diff != "" {
		t.Errorf("unscored: -want +got\n%s", diff)
	}
	if diff := cmp.Diff([]string{"b", "c"}, got.failing()); diff != "" {
		t.Errorf("failing: -want +got\n%s", diff)
	}
}

// serveLegacy is a server that knows nothing of server/discover, and is a real
// one for the rest.
func serveLegacy(server string) int {
	cmd := exec.CommandContext(context.Background(), server)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		panic(err)
	}
	var out lineWriter
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	if err := cmd.Start(); err != nil {
		panic(err)
	}
	in := bufio.NewReader(os.Stdin)
	for {
		line, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			break
		}
		if answer, ok := answerDiscover(line); ok {
			line, err = nil, out.say(answer)
		}
		if err == nil {
			_, err = stdin.Write(line)
		}
		if err != nil {
			panic(err)
		}
	}
	if err := errors.Join(stdin.Close(), cmd.Wait()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func answerDiscover(line []byte) ([]byte, bool) {
	var m struct {
		ID     json.RawMessage
		Method string
	}
	if err := json.Unmarshal(line, &m); err != nil || m.Method != "server/discover" {
		return nil, false
	}
	return fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"Method not found"}}`+"\n", m.ID), true
}

// lineWriter writes to standard output in whole lines.
type lineWriter struct {
	mu   sync.Mutex
	rest []byte
}

func (w *lineWriter) Write(p []byte) (int, error) {
	end := bytes.LastIndexByte(p, '\n') + 1
	if end > 0 {
		if err := w.say(append(w.rest, p[:end]...)); err != nil {
			return 0, err
		}
		w.rest = nil
	}
	w.rest = append(w.rest, p[end:]...)
	return len(p), nil
}

func (w *lineWriter) say(lines []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, err := os.Stdout.Write(lines)
	return err
}
