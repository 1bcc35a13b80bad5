package config_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"text/template"

	"github.com/google/go-cmp/cmp"

	"github.com/drengskapur/fastmcp-runner/internal/config"
)

var update = flag.Bool("update", false, "write docs/configuration.md instead of comparing it")

// TestConfigurationPage holds docs/configuration.md against the table that
// parsing uses.
func TestConfigurationPage(t *testing.T) {
	t.Parallel()
	page := filepath.Join("..", "..", "docs", "configuration.md")
	want := configurationPage(t)
	if *update {
		if err := os.WriteFile(page, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("docs/configuration.md is out of date: run \"go generate ./internal/config\" (-want +got):\n%s", diff)
	}
}

// configurationPage fills the tables into the page's text.
func configurationPage(t *testing.T) []byte {
	t.Helper()
	shown := map[string]bool{}
	page, err := template.New("configuration.md.tmpl").Funcs(template.FuncMap{
		"table":  func(group string) string { shown[group] = true; return markdownTable(group) },
		"hidden": hidden,
	}).ParseFiles(filepath.Join("testdata", "configuration.md.tmpl"))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := page.Execute(&out, nil); err != nil {
		t.Fatal(err)
	}
	for _, v := range config.Variables() {
		if !shown[v.Group] {
			t.Errorf("%s belongs to the group %q, which the page does not show", v.Name, v.Group)
		}
	}
	return out.Bytes()
}

// markdownTable returns the variables of a group.
func markdownTable(group string) string {
	quoted := regexp.MustCompile(`(^|[ (])'([^']+)'`)
	rows := []string{"| variable | default | meaning |", "| --- | --- | --- |"}
	for _, v := range config.Variables() {
		if v.Group == group {
			rows = append(rows, fmt.Sprintf("| `%s` | %s | %s |", v.Name, byDefault(v), quoted.ReplaceAllString(v.Doc, "$1`$2`")))
		}
	}
	return strings.Join(rows, "\n")
}

// byDefault returns what the column "default" says.
func byDefault(v config.Variable) string {
	switch {
	case v.Default != "":
		return "`" + v.Default + "`"
	case v.Example != "":
		return "required"
	default:
		return ""
	}
}

// hidden returns the variables that the server does not see, but for those
// that begin with RUNNER_.
func hidden() string {
	var names []string
	for _, v := range config.Variables() {
		if !v.Server && !strings.HasPrefix(v.Name, "RUNNER_") {
			names = append(names, "`"+v.Name+"`")
		}
	}
	return strings.Join(names, ", ")
}
