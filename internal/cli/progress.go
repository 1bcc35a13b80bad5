package cli

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/drengskapur/fastmcp-runner/internal/boot"
)

const (
	barInterval = 100 * time.Millisecond
	logInterval = 5 * time.Second
)

// showProgress shows how far a start has come until the returned function is
// called: as a bar if w is a terminal, else as a line in the log every few seconds.
func showProgress(now func() boot.Snapshot, w io.Writer, log *slog.Logger) (done func()) {
	interval, show, end := logInterval, logProgress(log), func() {}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		interval = barInterval
		show, end = drawProgress(f)
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		defer end()
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				show(now())
			case <-stop:
				return
			}
		}
	})
	return func() {
		close(stop)
		wg.Wait()
	}
}

// logProgress logs how far the layers have come and how fast since last time.
// It says nothing before the layers are known and after they are read.
func logProgress(log *slog.Logger) func(boot.Snapshot) {
	var last int64
	return func(s boot.Snapshot) {
		if s.Total == 0 || s.Done == s.Layers {
			return
		}
		rate := float64(s.Read-last) / logInterval.Seconds()
		last = s.Read
		log.Info("Pulling", "layers", fmt.Sprintf("%d/%d", s.Done, s.Layers),
			"read", boot.Size(s.Read), "of", boot.Size(s.Total),
			"percent", 100*s.Read/s.Total, "rate", boot.Size(rate).String()+"/s")
	}
}

// drawProgress draws a bar once the layers are known, and removes it at the
// end. What a broken terminal says of it is of no interest to the start.
func drawProgress(w io.Writer) (show func(boot.Snapshot), end func()) {
	var bar *progressbar.ProgressBar
	show = func(s boot.Snapshot) {
		if s.Total == 0 {
			return
		}
		if bar == nil {
			bar = progressbar.NewOptions64(s.Total, progressbar.OptionSetWriter(w), progressbar.OptionShowBytes(true), progressbar.OptionShowCount(),
				progressbar.OptionShowTotalBytes(true), progressbar.OptionFullWidth(), progressbar.OptionClearOnFinish())
		}
		bar.Describe(fmt.Sprintf("Pulling, layer %d of %d", min(s.Done+1, s.Layers), s.Layers))
		_ = bar.Set64(min(s.Read, s.Total))
	}
	end = func() {
		if bar != nil {
			_ = bar.Finish()
		}
	}
	return show, end
}
