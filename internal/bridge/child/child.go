// Package child runs a stdio MCP server as a child process: starts it in a
// process group of its own, carries messages to and from it, writes what it
// says on standard error to the log, and ends it with all that it started. It
// knows nothing of HTTP, of sessions, and of what the messages mean.
package child

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/drengskapur/fastmcp-runner/internal/bridge/jsonrpc"
)

// Command is what a child executes.
type Command struct {
	// Path is the file to execute.
	Path string
	// Argv is the command line; Argv[0] is what the program sees as its name.
	Argv []string
	// Env is the whole environment.
	Env []string
	// Dir is the directory to start in; empty is ours.
	Dir string
	// StopSignal asks the program to end; zero means SIGTERM.
	StopSignal syscall.Signal
}

// Options say how to run a child.
type Options struct {
	Command Command
	// Receive gets the messages of the child in their order, one at a time,
	// and nothing after Done. The child waits as long as it does not return.
	Receive func(jsonrpc.Message)
	// Lost is told, between calls of Receive, that a message is dropped
	// because it is longer than MaxLine, as soon as that is clear, and again
	// for each MaxLine of bytes that follow. The key is that of the message's
	// id (jsonrpc.Message.Key); empty if it is not known.
	Lost func(key string, err error)
	// MaxLine bounds a message of the child; zero means jsonrpc.MaxLine.
	MaxLine int
	// Mask hides secrets in what the child says; nil hides nothing.
	Mask func(string) string
	// Log gets what the child writes that is no message.
	Log *slog.Logger
}

// Process is a child that was started. Nothing is left of it, nor of its
// process group, when Done is closed.
type Process struct {
	pid    int
	opts   Options
	stdin  *os.File
	stdout *os.File
	stderr *os.File
	// writing holds a token while somebody writes to stdin; what is needed for
	// that is theirs.
	writing  chan struct{}
	deadline time.Time // of stdin
	line     []byte    // what is written
	words    lastWords
	exited   chan struct{}
	done     chan struct{}
	err      error // set before done is closed

	mu     sync.Mutex
	reaped bool // the pid may belong to somebody else
}

// Start starts a child from the thread of a Nursery.
func (n *Nursery) Start(opts Options) (*Process, error) {
	if opts.MaxLine == 0 {
		opts.MaxLine = jsonrpc.MaxLine
	}
	if opts.Command.StopSignal == 0 {
		opts.Command.StopSignal = syscall.SIGTERM
	}
	if opts.Mask == nil {
		opts.Mask = func(text string) string { return text }
	}
	p := &Process{opts: opts, writing: make(chan struct{}, 1), exited: make(chan struct{}), done: make(chan struct{})}
	if err := p.start(n); err != nil {
		return nil, fmt.Errorf("cannot start %q: %w", opts.Command.Path, err)
	}
	return p, nil
}

func (p *Process) start(n *Nursery) error {
	ours, theirs, err := pipes()
	if err != nil {
		return err
	}
	process, err := n.fork(p.opts.Command, theirs)
	closeAll(theirs)
	if err != nil {
		closeAll(ours)
		if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
			return pathErr.Err
		}
		return err
	}
	p.pid = process.Pid
	p.stdin, p.stdout, p.stderr = ours[0], ours[1], ours[2]
	var readers sync.WaitGroup
	readers.Go(p.readMessages)
	readers.Go(p.readWords)
	go p.outlive(n, process, &readers)
	return nil
}

// pipes returns the ends of the three standard streams: ours and theirs.
func pipes() (ours, theirs []*os.File, err error) {
	for stream := range 3 {
		r, w, err := os.Pipe()
		if err != nil {
			closeAll(ours)
			closeAll(theirs)
			return nil, nil, err
		}
		if stream == 0 {
			r, w = w, r
		}
		ours, theirs = append(ours, r), append(theirs, w)
	}
	return ours, theirs, nil
}

// closeAll closes ends of pipes, of which no error tells anything.
func closeAll(files []*os.File) {
	for _, f := range files {
		_ = f.Close()
	}
}

// drainTime is how long the output of a child that has ended is read. Its end
// comes at once, unless a process that left the group keeps it open.
const drainTime = 100 * time.Millisecond

// outlive waits for the end of the child and cleans up after it.
func (p *Process) outlive(n *Nursery, process *os.Process, readers *sync.WaitGroup) {
	awaitExit(p.pid)
	close(p.exited)
	// Before the child is reaped: until then its pid, which is the group's id,
	// cannot become that of another group.
	p.signal(syscall.SIGKILL)
	p.mu.Lock()
	p.reaped = true
	state, err := process.Wait()
	p.mu.Unlock()
	n.forget(p.pid)
	for _, f := range []*os.File{p.stdout, p.stderr} {
		if err := f.SetReadDeadline(time.Now().Add(drainTime)); err != nil {
			_ = f.Close()
		}
	}
	readers.Wait()
	closeAll([]*os.File{p.stdin, p.stdout, p.stderr})
	p.err = &ExitError{How: how(state, err), LastWords: p.words.text()}
	close(p.done)
}

// how says how a process ended.
func how(state *os.ProcessState, err error) string {
	if err != nil {
		return "ended: " + err.Error()
	}
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return "was ended by signal " + status.Signal().String()
	}
	return fmt.Sprintf("ended with exit code %d", state.ExitCode())
}

// ExitError says how a child ended.
type ExitError struct {
	// How is such as "ended with exit code 1".
	How string
	// LastWords are the last lines that it wrote to standard error, masked;
	// empty if it wrote nothing.
	LastWords string
}

func (e *ExitError) Error() string {
	text := "the server " + e.How
	if e.LastWords != "" {
		text += "; its last words: " + strings.ReplaceAll(e.LastWords, "\n", " | ")
	}
	return text
}

// Exited is closed when the child has ended. What it wrote last may still be
// underway to Receive, which should not keep it waiting then.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// Done is closed when the child and its process group have ended and all that
// it wrote was received.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err returns, after Done, how the child ended: an *ExitError.
func (p *Process) Err() error { return p.err }

// LastWords returns the last lines that the child wrote to standard error.
func (p *Process) LastWords() string { return p.words.text() }

// PID is the process id of the child, and the id of its process group.
func (p *Process) PID() int { return p.pid }

// stallTime is how long at least a child may leave a message unread that it is
// being sent. Half a message cannot be taken back, so that it is ended then.
const stallTime = time.Minute

// keptLine bounds the buffer that is kept for the next message.
const keptLine = 64 << 10

// Send sends one message, given without a line break. It waits while others
// send, and while the child does not read.
func (p *Process) Send(ctx context.Context, message []byte) error {
	select {
	case p.writing <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-p.done:
		return p.err
	}
	err := p.write(message)
	<-p.writing
	if err != nil {
		return p.sendError(err)
	}
	return nil
}

// write writes one message, by one system call if the pipe has room for it.
// The caller holds the token.
func (p *Process) write(message []byte) error {
	// The deadline serves many messages: each change of it costs.
	if now := time.Now(); p.deadline.Sub(now) < stallTime {
		p.deadline = now.Add(2 * stallTime)
		if err := p.stdin.SetWriteDeadline(p.deadline); err != nil {
			return err
		}
	}
	p.line = append(append(p.line[:0], message...), '\n')
	_, err := p.stdin.Write(p.line)
	if cap(p.line) > keptLine {
		p.line = nil
	}
	return err
}

func (p *Process) sendError(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		p.opts.Log.Warn("The server does not read its standard input, it is ended", "pid", p.pid, "after", stallTime)
		p.signal(syscall.SIGKILL)
		return fmt.Errorf("the server did not read a message for more than %s", stallTime)
	}
	// Most likely it is ending: then there is more to say in a moment.
	if p.wait(endingTime) {
		return p.err
	}
	return errors.New("the server reads no messages any more")
}

// endingTime is how long a child that reads no more may take to end, before
// it is one that merely does not read.
const endingTime = 500 * time.Millisecond

// Stop ends the child as the specification has it (basic/lifecycle,
// Shutdown): closes its standard input and waits, asks its process group to
// end, and kills it when the grace is over. It returns when nothing is left.
func (p *Process) Stop(grace time.Duration) {
	_ = p.stdin.Close() // is closed already if Stop was called before
	if p.wait(grace / 2) {
		return
	}
	p.signal(p.opts.Command.StopSignal)
	if p.wait(grace / 2) {
		return
	}
	p.opts.Log.Warn("The server does not end, it is killed", "pid", p.pid, "after", grace)
	p.signal(syscall.SIGKILL)
	<-p.done
}

// wait says whether the child ends in time.
func (p *Process) wait(limit time.Duration) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-p.done:
		return true
	case <-timer.C:
		return false
	}
}

// signal sends a signal to the process group while it is surely ours.
func (p *Process) signal(sig syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.reaped {
		_ = syscall.Kill(-p.pid, sig) // fails only when nobody is left
	}
}
