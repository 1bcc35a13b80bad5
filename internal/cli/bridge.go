package cli

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/drengskapur/fastmcp-runner/internal/bridge/child"
	"github.com/drengskapur/fastmcp-runner/internal/config"
	"github.com/drengskapur/fastmcp-runner/internal/front"
)

func bridgeCommand(p Process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bridge -- COMMAND [ARG...]",
		Short: "Serve a local stdio MCP server over HTTP",
		Long: `Serves the stdio MCP server that the command starts over Streamable HTTP at
MCP_PATH, and over HTTP+SSE at /sse. Every session has a process of its own,
and clients without sessions share one where nothing tells them apart.
The command gets the environment without the runner's own variables, and
MCP_ENV_NAME as NAME.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return serveLocal(cmd.Context(), p, args) },
	}
	cmd.Flags().SetInterspersed(false) // flags after COMMAND are its own, with "--" and without
	return cmd
}

// serveLocal serves a command of this machine.
func serveLocal(ctx context.Context, p Process, command []string) error {
	cfg, err := p.parseFor(config.Command, "", "PORT")
	if err != nil {
		return err
	}
	cfg.Image = nil // IMAGE is not what is served
	svc := newService(ctx, p, cfg)
	program, err := exec.LookPath(command[0])
	if err == nil {
		program, err = filepath.Abs(program)
	}
	if err != nil {
		return &commandError{err: err}
	}
	svc.Command = child.Command{Path: program, Argv: command, Env: slices.Concat(cfg.ServerEnv, cfg.Passthrough)}
	if err := hide(); err != nil {
		return err
	}
	log := p.logger(cfg.Secrets()...)
	tellWarnings(log, cfg)
	listener, err := listen(ctx, cfg, log)
	if err != nil {
		return err
	}
	return svc.serve(ctx, p, listener)
}

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

// serveCommand is the bridge that a start with MCP_TRANSPORT=stdio becomes.
func serveCommand(p Process) *cobra.Command {
	return &cobra.Command{
		Use:    serveName + " SERVICE LISTENER [CONNECTION...]",
		Short:  "Serve what is described in a descriptor, at another one",
		Args:   cobra.MinimumNArgs(2),
		Hidden: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := hide(); err != nil { // first: from here on it knows secrets
				return err
			}
			files, err := inherit(args)
			if err != nil {
				return err
			}
			var svc service
			if err := errors.Join(recall(files[0], &svc), files[0].Close()); err != nil {
				return err
			}
			passage := front.Passage{Listener: files[1]}
			for i, f := range files[2:] {
				passage.Guests = append(passage.Guests, front.Guest{File: f, Read: svc.Guests[i]})
			}
			svc.Guests = nil
			listener, err := passage.Open()
			if err != nil {
				return err
			}
			return svc.serve(cmd.Context(), p, listener)
		},
	}
}
