package cli_test

import (
	"net"
	"net/netip"
	"slices"
	"testing"

	"github.com/drengskapur/fastmcp-runner/internal/cli"
	"github.com/drengskapur/fastmcp-runner/internal/config"
)

// A log shows one line at a time, of a private key too.
func TestEachLineOfASecretIsMasked(t *testing.T) {
	t.Parallel()
	got := cli.Masked(&config.Config{Passthrough: []string{"KEY=first line\nsecond\n\nno", "TOKEN=abcd"}})
	if want := []string{"first line", "second", "abcd"}; !slices.Equal(got, want) {
		t.Errorf("masked are %q, want %q", got, want)
	}
}

func TestSessionsFor(t *testing.T) {
	t.Parallel()
	const unlimited, unknown = -1, 0
	for _, tt := range []struct {
		name                 string
		limit, memory, tasks int64
		want                 int
	}{
		{"a container of 512 MiB", 512 << 20, 64 << 30, unlimited, 4},
		{"a machine of 1 GiB without limits", unlimited, 1 << 30, unlimited, 8},
		{"a limit above what there is", 64 << 30, 2 << 30, unknown, 16},
		{"few processes", 4 << 30, 64 << 30, 100, 3},
		{"hardly anything", 64 << 20, 64 << 30, 8, 2},
		{"a large machine", unlimited, 256 << 30, unlimited, 100},
		{"nothing is known", unknown, unknown, unknown, 100},
	} {
		if got := cli.SessionsFor(tt.limit, tt.memory, tt.tasks); got != tt.want {
			t.Errorf("%s: %d sessions, want %d", tt.name, got, tt.want)
		}
	}
}

func TestTheLogNamesAHostThatClientsCanReach(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"0.0.0.0:8000":   "localhost:8000",
		"[::]:8000":      "localhost:8000",
		"127.0.0.1:8000": "127.0.0.1:8000",
		"[::1]:8000":     "[::1]:8000",
		"192.0.2.7:8000": "192.0.2.7:8000",
	} {
		if got := cli.HostOf(net.TCPAddrFromAddrPort(netip.MustParseAddrPort(address))); got != want {
			t.Errorf("%s is reached as %s, want %s", address, got, want)
		}
	}
}
