package fastmcprunner_test

import (
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/drengskapur/fastmcp-runner/internal/healthcheck"
)

// TestHealthCheckEndsBeforeItIsKilled holds the limit of the command against
// what our images give it: an engine that kills it shows no reason.
func TestHealthCheckEndsBeforeItIsKilled(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("Dockerfile*")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, file := range files {
		for _, m := range regexp.MustCompile(`(?m)^HEALTHCHECK .*--timeout=(\S+)`).FindAllStringSubmatch(readDoc(t, file), -1) {
			found++
			limit, err := time.ParseDuration(m[1])
			if err != nil {
				t.Fatal(err)
			}
			if healthcheck.DefaultTimeout >= limit {
				t.Errorf("%s gives a health check %s, which itself takes up to %s", file, limit, healthcheck.DefaultTimeout)
			}
		}
	}
	if found == 0 {
		t.Error("no Dockerfile has a HEALTHCHECK: has its form changed?")
	}
}
