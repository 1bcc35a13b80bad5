// Package cli is the program's face: it chooses the command, prints what came
// of it, picks the exit code, and hands over to the server. It knows neither
// layers nor registries.
package cli

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/drengskapur/fastmcp-runner/internal/boot"
	"github.com/drengskapur/fastmcp-runner/internal/config"
	"github.com/drengskapur/fastmcp-runner/internal/handoff"
	"github.com/drengskapur/fastmcp-runner/internal/host"
	"github.com/drengskapur/fastmcp-runner/internal/ids"
)

// Process is what main gets from the operating system.
type Process struct {
	Args           []string // without the program's name
	Environ        []string
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Version        string
}

// Main runs the command that the arguments name and returns the exit code. The
// command run does not return when it succeeds: the server has replaced the
// process.
func Main(p Process) int {
	ctx, stop := untilSignal(context.Background()) // before Disown, which catches what is ignored
	defer stop()
	if err := handoff.Disown(p.restart); err != nil {
		p.print(err)
		return exitCode(err)
	}
	limitMemory(p.Environ, host.AskMemory(nil))
	root := newCommand(p)
	understood := false
	root.PersistentPreRun = func(*cobra.Command, []string) { understood = true }
	root.SetArgs(p.Args)
	root.SetIn(p.Stdin)
	root.SetOut(p.Stdout)
	root.SetErr(p.Stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	if !understood {
		err = &boot.ConfigError{Err: err} // an unknown command or flag, or arguments that it does not take
	}
	err = explain(ctx, err)
	p.print(err)
	return exitCode(err)
}

// restart executes this program anew, as it was started. It returns only an
// error.
func (p Process) restart() error {
	args := append([]string{os.Args[0]}, p.Args...)
	return unix.Exec(executable(), args, p.Environ) //nolint:forbidigo // the same program begins again
}

func newCommand(p Process) *cobra.Command {
	root := &cobra.Command{
		Short: "Become the MCP server of an OCI image, without a container engine",
		Long: `Pulls the OCI image that IMAGE names, lays its application files down, drops
privileges and becomes the MCP server of that image, listening on PORT.

Without a command, fastmcp-runner does what "fastmcp-runner run" does. It is
configured by environment variables, above all these:

  IMAGE              the image to run, such as ghcr.io/acme/mcp:1.4
  PORT               where the server listens
  REGISTRY_USER      the user for a private image, with REGISTRY_PASSWORD
  MCP_TRANSPORT      what the server speaks: streamable-http, sse or stdio
  RUNNER_MODE        allowlist (the default), or rootfs for the whole image
  RUNNER_AUTH_TOKEN  what clients of a stdio server must send
  MCP_ENV_NAME       reaches the server as NAME`,
		Example: `  IMAGE=ghcr.io/acme/mcp:1.4 PORT=8000 fastmcp-runner
  PORT=8000 MCP_TRANSPORT=stdio RUNNER_MODE=rootfs fastmcp-runner run mcp/time`,
		Use:           "fastmcp-runner [IMAGE]",
		Args:          imageOrCommand,
		SilenceErrors: true,
		SilenceUsage:  true,
		Version:       p.Version,
		RunE:          func(cmd *cobra.Command, args []string) error { return run(cmd.Context(), p, first(args)) },
	}
	root.SetFlagErrorFunc(flagFault)
	root.SetVersionTemplate("{{.Version}}\n")
	root.AddCommand(runCommand(p), inspectCommand(p), launcherCommand(p), healthcheckCommand(p), versionCommand(p), pullCommand(p), doctorCommand(p), bridgeCommand(p), initCommand(p), becomeCommand(), serveCommand(p))
	return root
}

func runCommand(p Process) *cobra.Command {
	return &cobra.Command{
		Use:   "run [IMAGE]",
		Short: "Pull the image and become its server (the default)",
		Long: `Pulls the image, lays its files down and becomes its server. IMAGE is taken from
the environment if it is not given. What the server gets as arguments is set
by RUNNER_CMD.`,
		Args: oneImage,
		RunE: func(cmd *cobra.Command, args []string) error { return run(cmd.Context(), p, first(args)) },
	}
}

// parse reads the configuration for a command that serves an image, or says how
// it would be served, and cannot do without the variables in required. An image named on the command line goes before IMAGE,
// with a warning if the two differ.
func (p Process) parse(image string, required ...string) (*config.Config, error) {
	return p.parseFor(config.Image, image, required...)
}

// parseFor is parse for what else a command serves.
func (p Process) parseFor(serves config.Served, image string, required ...string) (*config.Config, error) {
	environ := p.Environ
	if image != "" {
		environ = append(slices.Clip(environ), "IMAGE="+image)
	}
	cfg, err := config.Parse(config.Source{Environ: environ, Open: openFile, Required: required, Serves: serves})
	if err != nil {
		return nil, &boot.ConfigError{Err: err}
	}
	if image != "" && overrules(image, p.Environ) {
		cfg.Warnings = append(cfg.Warnings, fmt.Sprintf("IMAGE is overruled by the argument %q", image))
	}
	return cfg, nil
}

//nolint:gosec // the names are the operator's own
func openFile(name string) (fs.File, error) { return os.Open(name) }

// options are what boot needs to know of this process. They raise the rights that
// the program's file gives.
func (p Process) options() (boot.Options, error) {
	may, err := handoff.Raise()
	if err != nil {
		return boot.Options{}, fmt.Errorf("cannot raise the capabilities of the runner's file: %w", err)
	}
	name := executable()
	return boot.Options{
		Self:      ids.User{UID: uint32(os.Geteuid()), GID: uint32(os.Getegid())}, //nolint:gosec // ids of the kernel fit
		MayChown:  may.Chown,
		MayBecome: may.Become,
		Alone:     strings.HasPrefix(name, aloneDir),
		Probe:     []string{name, "version"},
		UserAgent: "fastmcp-runner/" + p.Version,
	}, nil
}

// aloneDir holds the program in the image whose root is otherwise empty.
const aloneDir = "/.fastmcp-runner/"

// executable is where this program lies. Without /proc the name by which it was
// started tells.
func executable() string {
	name, err := os.Executable()
	if err != nil {
		return os.Args[0]
	}
	return name
}
