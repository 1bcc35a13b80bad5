// Package fastmcprunner_test holds the tests that look at the project as a
// whole.
package fastmcprunner_test

import (
	"bufio"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/drengskapur/fastmcp-runner/"

// TestHouse holds the imports of every room against the table in
// docs/architecture.md: a new room or arrow is a change to that table first.
func TestHouse(t *testing.T) {
	t.Parallel()
	want := readHouse(t, filepath.Join("docs", "architecture.md"))
	got := readImports(t)
	for room, imports := range got {
		allowed, ok := want[room]
		if !ok {
			t.Errorf("room %s stands in no row of docs/architecture.md", room)
			continue
		}
		for _, imported := range imports {
			if !slices.Contains(allowed, imported) {
				t.Errorf("room %s imports %s, which docs/architecture.md does not allow", room, imported)
			}
		}
	}
	for room := range want {
		if _, ok := got[room]; !ok {
			t.Errorf("docs/architecture.md has a room %s that does not exist", room)
		}
	}
}

// readHouse returns the rooms of the table and the rooms that each may import.
func readHouse(t *testing.T, name string) map[string][]string {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	row := regexp.MustCompile("^\\| `([a-z/-]+)` \\|[^|]*\\|([^|]*)\\|[^|]*\\|$")
	house := map[string][]string{}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		m := row.FindStringSubmatch(lines.Text())
		if m == nil {
			continue
		}
		var allowed []string
		for imported := range strings.SplitSeq(m[2], ",") {
			if imported = strings.TrimSpace(imported); imported != "-" {
				allowed = append(allowed, "internal/"+imported)
			}
		}
		house[m[1]] = allowed
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	if len(house) == 0 {
		t.Fatalf("%s holds no table of rooms", name)
	}
	return house
}

// readImports returns, for every package below cmd and internal, the packages
// of ours that its non-test files import.
func readImports(t *testing.T) map[string][]string {
	t.Helper()
	rooms := map[string][]string{}
	for _, top := range []string{"cmd", "internal"} {
		err := filepath.WalkDir(top, func(name string, d fs.DirEntry, err error) error {
			if err == nil && d.Name() == "testdata" {
				return fs.SkipDir
			}
			if err != nil || d.IsDir() || filepath.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
			if err != nil {
				return err
			}
			room := filepath.ToSlash(filepath.Dir(name))
			imports := rooms[room]
			for _, spec := range file.Imports {
				imported, err := strconv.Unquote(spec.Path.Value)
				if err != nil {
					return err
				}
				if ours, ok := strings.CutPrefix(imported, module); ok && !slices.Contains(imports, ours) {
					imports = append(imports, ours)
				}
			}
			rooms[room] = imports
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return rooms
}
