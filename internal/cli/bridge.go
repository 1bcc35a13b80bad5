package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/drengskapur/fastmcp-runner/internal/boot"
	"github.com/drengskapur/fastmcp-runner/internal/bridge"
	"github.com/drengskapur/fastmcp-runner/internal/bridge/child"
	"github.com/drengskapur/fastmcp-runner/internal/config"
	"github.com/drengskapur/fastmcp-runner/internal/front"
)

func bridgeCommand(p Process) *cobra.Command {
	return &cobra.Command{
		Use:   "bridge -- COMMAND [ARG...]",
		Short: "Serve a local stdio MCP server over HTTP",
		Long: `Serves the stdio MCP server that the command starts over Streamable HTTP at
MCP_PATH, and over HTTP+SSE at /sse. Every session has a process of its own.
The command gets the environment without the runner's own variables, and
MCP_ENV_NAME as NAME.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return serveBridge(cmd.Context(), p, args) },
	}
}

func serveBridge(ctx context.Context, p Process, command []string) error {
	cfg, err := p.parse("", "PORT")
	if err != nil {
		return err
	}
	origins, err := bridge.OriginsFrom(p.Environ)
	if err != nil {
		return &boot.ConfigError{Err: err}
	}
	program, err := exec.LookPath(command[0])
	if err == nil {
		program, err = filepath.Abs(program)
	}
	if err != nil {
		return &commandError{err: err}
	}
	log := p.logger(cfg.Secrets()...)
	listener, err := front.Listen(ctx, cfg.Host, cfg.Port)
	if err != nil {
		return err
	}
	if front.IsPublic(listener) && cfg.AuthToken.Empty() {
		log.Warn("Anybody who reaches this address may use the server: set RUNNER_AUTH_TOKEN, or MCP_HOST=127.0.0.1",
			"address", listener.Addr().String())
	}
	b := bridge.New(bridge.Options{
		Path:    cfg.Path,
		Command: child.Command{Path: program, Argv: command, Env: slices.Concat(cfg.ServerEnv, cfg.Passthrough)},
		SSE:     bridge.SSEOn,
		Token:   cfg.AuthToken.Reveal(),
		Origins: origins,
		Grace:   cfg.Grace,
		Reap:    os.Getpid() == 1,
		Mask:    masker(cfg),
		Log:     log,
	})
	log.Info("Serving a stdio server", "command", strings.Join(command, " "),
		"url", fmt.Sprintf("http://%s%s", listener.Addr(), cfg.Path))
	return front.Serve(ctx, listener, front.Options{Bridge: b, HealthPath: cfg.HealthcheckPath, Grace: 2 * cfg.Grace})
}

// masker hides in what the server writes to the log what was passed to it
// alone.
func masker(cfg *config.Config) func(string) string {
	var pairs []string
	for _, entry := range cfg.Passthrough {
		if _, value, _ := strings.Cut(entry, "="); len(value) >= minSecret {
			pairs = append(pairs, value, "[redacted]")
		}
	}
	return strings.NewReplacer(pairs...).Replace
}

// minSecret is the length from which on a value is masked: shorter ones would
// black out common words.
const minSecret = 4

// commandError says that the command cannot be found or executed.
type commandError struct{ err error }

func (e *commandError) Error() string { return "cannot start the server: " + e.err.Error() }
func (e *commandError) Unwrap() error { return e.err }
func (e *commandError) ExitCode() int {
	if errors.Is(e.err, exec.ErrNotFound) || errors.Is(e.err, os.ErrNotExist) {
		return exitNotFound
	}
	return exitCannotExec
}
