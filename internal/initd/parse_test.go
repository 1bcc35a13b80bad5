package initd_test

import (
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/drengskapur/fastmcp-runner/internal/initd"
)

func TestParseSignal(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		want unix.Signal // 0 means an error
	}{
		{"SIGTERM", unix.SIGTERM},
		{"TERM", unix.SIGTERM},
		{"sigquit", unix.SIGQUIT},
		{"Usr1", unix.SIGUSR1},
		{"SIGWINCH", unix.SIGWINCH},
		{"SIGCLD", unix.SIGCHLD},
		{"IOT", unix.SIGABRT},
		{"SIGPOLL", unix.SIGIO},
		{"3", unix.SIGQUIT},
		{"64", 64},
		{"SIGRTMIN", 34},
		{"SIGRTMIN+3", 37},
		{"RTMIN+30", 64},
		{"RTMAX", 64},
		{"SIGRTMAX-30", 34},
		{"rtmax-1", 63},

		{name: ""},
		{name: "SIG"},
		{name: "0"},
		{name: "65"},
		{name: "-1"},
		{name: "+9"},
		{name: "9.0"},
		{name: "SIG9"},
		{name: "99999999999999999999"},
		{name: "SIGSIGTERM"},
		{name: "SIGTERM "},
		{name: "SIGTERM\x00"},
		{name: "SIGRTMIN+31"},
		{name: "SIGRTMIN-1"},
		{name: "SIGRTMIN3"},
		{name: "SIGRTMIN+"},
		{name: "SIGRTMIN++3"},
		{name: "SIGRTMIN+300"},
		{name: "SIGRTMAX+1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := initd.ParseSignal(tt.name)
			if got != tt.want || (err == nil) != (tt.want != 0) {
				t.Errorf("ParseSignal(%q) = %d, %v, want %d", tt.name, got, err, tt.want)
			}
			if err != nil && !strings.HasPrefix(err.Error(), "cannot parse signal "+strconv.Quote(tt.name)+": ") {
				t.Errorf("ParseSignal(%q): %q does not name it", tt.name, err)
			}
		})
	}
}

// FuzzParseSignal asserts that what is parsed is a signal of the kernel, that
// its number means the same, and that the prefix and the case of a name do not
// matter.
func FuzzParseSignal(f *testing.F) {
	for _, name := range []string{"SIGTERM", "quit", "15", "SIGRTMIN+3", "RTMAX-2", "SIG", "0", "999", "rtmin+-1", "\xff"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		sig, err := initd.ParseSignal(name)
		if err != nil {
			if sig != 0 {
				t.Errorf("ParseSignal(%q) = %d with the error %v", name, sig, err)
			}
			return
		}
		if sig < 1 || sig > 64 {
			t.Errorf("ParseSignal(%q) = %d, which is no signal", name, sig)
		}
		same := []string{strconv.Itoa(int(sig)), strings.ToLower(name), strings.ToUpper(name)}
		if _, err := strconv.Atoi(name); err != nil {
			short := strings.TrimPrefix(strings.ToUpper(name), "SIG")
			same = append(same, short, "SIG"+short, "sig"+short)
		}
		for _, other := range same {
			if got, err := initd.ParseSignal(other); err != nil || got != sig {
				t.Errorf("ParseSignal(%q) = %d, but ParseSignal(%q) = %d, %v", name, sig, other, got, err)
			}
		}
	})
}
