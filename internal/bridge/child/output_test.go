package child_test

import (
	"strings"
	"testing"
)

// A line is cut to what the log shows of it, and a secret must not be cut.
func TestNoHalfOfASecretIsLogged(t *testing.T) {
	t.Parallel()
	const shown = 2 << 10
	f := start(t, nil, "say", strings.Repeat("x", shown-len("hunt"))+"hunter22 and more")
	f.end(t)
	if log := f.log.String(); !strings.Contains(log, strings.Repeat("x", shown-len("hunt"))+"[red") || strings.Contains(log, "hunt") || strings.Contains(log, "more") {
		t.Errorf("the log says %s", log)
	}
}
