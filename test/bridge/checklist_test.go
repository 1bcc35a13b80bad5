package bridge_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestTheChecklistNamesTestsThatExist holds docs/bridge-conformance.md against
// the tests.
func TestTheChecklistNamesTestsThatExist(t *testing.T) {
	t.Parallel()
	there := map[string]bool{}
	for _, room := range []string{"internal/bridge", "internal/bridge/child", "internal/front", "internal/origins", "test/bridge"} {
		files, err := filepath.Glob(filepath.Join("..", "..", filepath.FromSlash(room), "*_test.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s has no tests: %v", room, err)
		}
		for _, file := range files {
			source, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range regexp.MustCompile(`(?m)^func (Test\w+)\(t `).FindAllStringSubmatch(string(source), -1) {
				there[m[1]] = true
			}
		}
	}
	list, err := os.ReadFile(filepath.Join("..", "..", "docs", "bridge-conformance.md"))
	if err != nil {
		t.Fatal(err)
	}
	rules := 0
	for line := range strings.Lines(string(list)) {
		tests := regexp.MustCompile("`(Test\\w+)`").FindAllStringSubmatch(line, -1)
		for _, m := range tests {
			if !there[m[1]] {
				t.Errorf("there is no test %s: %s", m[1], line)
			}
		}
		isRule := strings.Contains(line, "| MUST") || strings.Contains(line, "| SHOULD") || strings.Contains(line, "| MAY")
		if isRule && len(tests) == 0 && !strings.Contains(line, "not kept") {
			t.Errorf("no test proves: %s", line)
		}
		if isRule {
			rules++
		}
	}
	if rules < 50 {
		t.Errorf("the list has only %d rules: has its form changed?", rules)
	}
}
