package child

import (
	"bytes"
	"errors"
	"io"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/drengskapur/fastmcp-runner/internal/bridge/jsonrpc"
)

const (
	// maxWords bounds a line of standard error: what is behind is not read.
	maxWords = 4 << 10
	// shownBytes is how much of a line the log shows, and maskedBytes how much
	// of it is looked through for secrets.
	shownBytes  = 2 << 10
	maskedBytes = 64 << 10
)

// readMessages hands on what the child writes to standard output.
func (p *Process) readMessages() {
	var rate limiter
	for lines := jsonrpc.NewReader(p.stdout, p.opts.MaxLine); ; {
		line, err := lines.Line()
		tooLong, isTooLong := errors.AsType[*jsonrpc.TooLongError](err)
		switch {
		case isTooLong:
			p.drop(tooLong)
			continue
		case err != nil:
			p.logEnd("standard output", err)
			return
		case len(bytes.TrimSpace(line)) == 0:
			continue
		}
		messages, _, err := jsonrpc.ParseBatch(line)
		if err != nil {
			p.logLine(&rate, "The server wrote something else than a message to standard output, it is skipped", line)
			continue
		}
		for _, m := range messages {
			p.opts.Receive(m)
		}
	}
}

// drop gives up a line that is too long, perhaps without end, and the memory
// that it took: the next collection of garbage may be minutes away.
func (p *Process) drop(tooLong *jsonrpc.TooLongError) {
	if tooLong.Head != nil {
		p.opts.Log.Warn("The server wrote a message that is too long, it is dropped", "pid", p.pid, "limit", tooLong.Limit)
		debug.FreeOSMemory()
	}
	p.opts.Lost(tooLong.Key(), tooLong)
}

// readWords logs what the child writes to standard error.
func (p *Process) readWords() {
	var rate limiter
	for lines := jsonrpc.NewReader(p.stderr, maxWords); ; {
		line, err := lines.Line()
		tooLong, isTooLong := errors.AsType[*jsonrpc.TooLongError](err)
		switch {
		case isTooLong:
			line = tooLong.Head // nil if that was logged
		case err != nil:
			p.logEnd("standard error", err)
			return
		}
		if text := strings.TrimRight(string(line), " \t\r"); text != "" {
			p.words.add(p.opts.Mask(text))
			p.logLine(&rate, "The server says", []byte(text))
		}
	}
}

// logEnd logs why a stream ended, if it was not its end.
func (p *Process) logEnd(stream string, err error) {
	if !errors.Is(err, io.EOF) && !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, os.ErrClosed) {
		p.opts.Log.Warn("Cannot read from the server", "pid", p.pid, "stream", stream, "err", err)
	}
}

// logLine logs a line unless there were too many.
func (p *Process) logLine(rate *limiter, message string, line []byte) {
	ok, dropped := rate.allow(time.Now())
	if !ok {
		return
	}
	log := p.opts.Log.With("pid", p.pid, "line", Excerpt(line, p.opts.Mask))
	if dropped > 0 {
		log = log.With("lines_left_out", dropped)
	}
	log.Info(message) //nolint:sloglint // one of two constants of this file
}

// Excerpt returns the beginning of what a server has said, at most 2 KiB and
// without secrets, for people to read.
func Excerpt(said []byte, mask func(string) string) string {
	// Masked before it is cut, or half a secret could be left at its end.
	text := mask(string(said[:min(len(said), maskedBytes)]))
	return strings.ToValidUTF8(text[:min(len(text), shownBytes)], "")
}

const (
	burst   = 100
	perLine = 50 * time.Millisecond
)

// limiter lets through a burst of lines and then 20 lines a second.
type limiter struct {
	full    time.Time // when the whole burst is there again
	dropped int
}

// allow says whether the next line goes through, and how many did not since
// the last one that did.
func (l *limiter) allow(now time.Time) (ok bool, dropped int) {
	if l.full.Before(now) {
		l.full = now
	}
	if l.full.Sub(now) > (burst-1)*perLine {
		l.dropped++
		return false, 0
	}
	l.full = l.full.Add(perLine)
	dropped, l.dropped = l.dropped, 0
	return true, dropped
}

const (
	keptLines = 10
	keptBytes = 300 // of each line
)

// lastWords keeps the last lines.
type lastWords struct {
	mu    sync.Mutex
	lines []string
}

func (w *lastWords) add(line string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(line) > keptBytes {
		line = strings.ToValidUTF8(line[:keptBytes], "") + "..."
	}
	if len(w.lines) == keptLines {
		w.lines = append(w.lines[:0], w.lines[1:]...)
	}
	w.lines = append(w.lines, line)
}

func (w *lastWords) text() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.lines, "\n")
}
