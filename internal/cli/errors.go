package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/drengskapur/fastmcp-runner/internal/boot"
	"github.com/drengskapur/fastmcp-runner/internal/config"
	"github.com/drengskapur/fastmcp-runner/internal/hint"
	"github.com/drengskapur/fastmcp-runner/internal/logging"
)

// The exit codes, as container engines use them. 126 and 127 mostly
// come with the errors about the command, and 128+n with a signal.
const (
	exitConfig = 78  // EX_CONFIG of sysexits.h: a variable, or the command line, is wrong
	exitRunner = 125 // the runner could not do its job
	exitSignal = 128

	exitCannotExec = 126
	exitNotFound   = 127
)

// exitCode returns the exit code that an error stands for.
func exitCode(err error) int {
	if _, ok := errors.AsType[*boot.ConfigError](err); ok {
		return exitConfig
	}
	if coded, ok := errors.AsType[interface {
		error
		ExitCode() int
	}](err); ok {
		return coded.ExitCode()
	}
	return exitRunner
}

// signalError says that a signal ended the start.
type signalError struct{ signal unix.Signal }

func (e *signalError) Error() string { return "stopped by " + unix.SignalName(e.signal) }
func (e *signalError) ExitCode() int { return exitSignal + int(e.signal) }

// untilSignal returns a context that ends when the host wants the process to
// stop. As PID 1 the process would ignore these signals otherwise. One that it
// was started to ignore, as by nohup(1), does not end it.
func untilSignal(ctx context.Context) (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	signals := make(chan os.Signal, 1)
	for _, sig := range []os.Signal{unix.SIGTERM, unix.SIGINT, unix.SIGHUP} {
		if !signal.Ignored(sig) {
			signal.Notify(signals, sig)
		}
	}
	go func() {
		select {
		case s := <-signals:
			if s, ok := s.(unix.Signal); ok {
				cancel(&signalError{signal: s})
			}
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		cancel(nil)
	}
}

// explain prefers the signal that ended the context to the many ways in which
// what was under way then failed. How a server ended is no such failure.
func explain(ctx context.Context, err error) error {
	if _, ok := errors.AsType[*exitError](err); ok {
		return err
	}
	if stopped, ok := errors.AsType[*signalError](context.Cause(ctx)); ok {
		return stopped
	}
	return err
}

// print says why the command failed: one line a fault, and what can be done
// about it on a line of its own.
func (p Process) print(err error) {
	if _, ok := errors.AsType[*exitError](err); ok {
		return // the server has said what it had to say
	}
	log := p.logger(p.secrets()...)
	if _, format := config.LogSettings(p.Environ); format == config.FormatJSON {
		log.Error(err.Error(), record(err)...) //nolint:sloglint // the error is the message
		return
	}
	for line := range strings.SplitSeq(err.Error(), "\n") {
		log.Error(line) //nolint:sloglint // the error is the message: it has no facts beside it
	}
	if text := hint.Of(err); text != "" {
		log.Error("Hint: " + text) //nolint:sloglint // as above
	}
}

// record is what programs want to know of an error beside its text.
func record(err error) []any {
	facts := []any{"kind", kindOf(err), "exit_code", exitCode(err)}
	if text := hint.Of(err); text != "" {
		facts = append(facts, "hint", text)
	}
	return facts
}

// kindOf says what an error is about, in one of the words that
// docs/configuration.md lists.
func kindOf(err error) string {
	code := exitCode(err)
	switch {
	case code == exitConfig:
		return "configuration"
	case code == exitCannotExec || code == exitNotFound:
		return "command"
	case code > exitSignal:
		return "signal"
	case code != exitRunner:
		return "health"
	case boot.OfRegistry(err):
		return "registry"
	default:
		return "runner"
	}
}

// secrets are those of the configuration; an error may quote somebody who
// quotes them. Faults of the configuration show none.
func (p Process) secrets() []string {
	cfg, err := p.parseFor(config.Nothing, "")
	if err != nil {
		return nil
	}
	return cfg.Secrets()
}

// logger returns the log that the environment asks for, which shows no secret.
// It serves also while the configuration has faults.
func (p Process) logger(secrets ...string) *slog.Logger {
	level, format := config.LogSettings(p.Environ)
	return logging.New(p.Stderr, logging.Options{Level: level, Format: logging.Format(format), Secrets: secrets})
}

// printf writes to a command's output.
func printf(w io.Writer, format string, args ...any) error {
	_, err := fmt.Fprintf(w, format, args...)
	return err
}
