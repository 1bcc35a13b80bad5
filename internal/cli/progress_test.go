package cli_test

import (
	"bytes"
	"io"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drengskapur/fastmcp-runner/internal/boot"
	"github.com/drengskapur/fastmcp-runner/internal/cli"
	"github.com/drengskapur/fastmcp-runner/internal/logging"
)

func TestProgressIsALineEveryFiveSeconds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		log := logging.New(&out, logging.Options{Level: slog.LevelInfo})
		var now atomic.Pointer[boot.Snapshot]
		now.Store(&boot.Snapshot{Layers: 4, Total: 200e6})
		done := cli.ShowProgress(func() boot.Snapshot { return *now.Load() }, io.Discard, log)
		time.Sleep(4 * time.Second) // in the bubble, no time passes
		if out.Len() > 0 {
			t.Errorf("after four seconds the log says %q", out.String())
		}
		now.Store(&boot.Snapshot{Layers: 4, Total: 200e6, Read: 50e6})
		time.Sleep(2 * time.Second)
		now.Store(&boot.Snapshot{Layers: 4, Total: 200e6, Read: 150e6, Done: 1})
		time.Sleep(5 * time.Second)
		now.Store(&boot.Snapshot{Layers: 4, Total: 200e6, Read: 200e6, Done: 4})
		time.Sleep(20 * time.Second)
		done()
		var got []string
		for line := range strings.Lines(out.String()) {
			_, message, _ := strings.Cut(line, "] ")
			got = append(got, strings.TrimSpace(message))
		}
		want := []string{
			`Pulling layers=0/4 read="50.0 MB" of="200.0 MB" percent=25 rate="10.0 MB/s"`,
			`Pulling layers=1/4 read="150.0 MB" of="200.0 MB" percent=75 rate="20.0 MB/s"`,
		}
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("the log says\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	})
}

func TestProgressOnATerminalIsABarThatGoesAway(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	show, end := cli.DrawProgress(&out)
	show(boot.Snapshot{}) // nothing is known yet
	if out.Len() > 0 {
		t.Errorf("before the layers are known the terminal shows %q", out.String())
	}
	show(boot.Snapshot{Layers: 3, Done: 1, Total: 200e6, Read: 100e6})
	for _, want := range []string{"Pulling, layer 2 of 3", " 50% ", "100/200 MB"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the terminal shows %q, want %q in it", out.String(), want)
		}
	}
	end()
	last := out.String()[strings.LastIndexByte(strings.TrimRight(out.String(), "\r"), '\r')+1:]
	if strings.TrimSpace(last) != "" {
		t.Errorf("at the end the terminal's line is %q, want it empty", last)
	}
}
