package cli

import (
	"runtime"

	"github.com/spf13/cobra"

	"github.com/drengskapur/fastmcp-runner/internal/boot"
	"github.com/drengskapur/fastmcp-runner/internal/config"
	"github.com/drengskapur/fastmcp-runner/internal/healthcheck"
	"github.com/drengskapur/fastmcp-runner/internal/launch"
)

func launcherCommand(p Process) *cobra.Command {
	return &cobra.Command{
		Use:   "launcher [IMAGE | -]",
		Short: "Print what would run as a shell script",
		Long: `Prints the launch of an image as a POSIX shell script: its environment,
directory and command. "-" reads an OCI image config from standard input
instead. The script holds the values of MCP_ENV_ variables.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			plan, err := plan(cmd, p, args)
			if err != nil {
				return err
			}
			return printf(p.Stdout, "%s", plan.Script())
		},
	}
}

// plan plans the launch of what the arguments name.
func plan(cmd *cobra.Command, p Process, args []string) (launch.Plan, error) {
	opts, err := p.options()
	if err != nil {
		return launch.Plan{}, err
	}
	if len(args) == 1 && args[0] == "-" {
		cfg, err := p.parse("", "PORT")
		if err != nil {
			return launch.Plan{}, err
		}
		opts.Log = p.logger(cfg.Secrets()...)
		tellWarnings(opts.Log, cfg)
		return boot.PlanConfig(p.Stdin, cfg, opts)
	}
	image := ""
	if len(args) == 1 {
		image = args[0]
	}
	cfg, err := p.parse(image, "IMAGE", "PORT")
	if err != nil {
		return launch.Plan{}, err
	}
	opts.Log = p.logger(cfg.Secrets()...)
	tellWarnings(opts.Log, cfg)
	return boot.PlanImage(cmd.Context(), cfg, opts)
}

func healthcheckCommand(p Process) *cobra.Command {
	return &cobra.Command{
		Use:   "healthcheck",
		Short: "Ask the running server once whether it is healthy",
		Long: `Asks http://HOST:PORT with the path HEALTHCHECK_PATH once. Exits with 0 if
the answer is a success, with 1 otherwise.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.Parse(config.Source{Environ: p.Environ, Required: []string{"PORT"}})
			if err == nil {
				err = healthcheck.Check(cmd.Context(), healthcheck.Target{Host: cfg.Host, Port: cfg.Port, Path: cfg.HealthcheckPath})
			}
			if err != nil {
				return &unhealthyError{err: err}
			}
			return printf(p.Stdout, "healthy\n")
		},
	}
}

// unhealthyError is any reason why a health check failed: engines know the
// exit codes 0 and 1 only (Dockerfile reference, HEALTHCHECK).
type unhealthyError struct{ err error }

func (e *unhealthyError) Error() string { return e.err.Error() }
func (e *unhealthyError) Unwrap() error { return e.err }
func (e *unhealthyError) ExitCode() int { return 1 }

func versionCommand(p Process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
	}
	output := outputFlag(cmd)
	cmd.RunE = func(*cobra.Command, []string) error {
		v := version{Version: p.Version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
		if *output == "json" {
			return printJSON(p.Stdout, v)
		}
		return printf(p.Stdout, "fastmcp-runner %s (%s, %s)\n", v.Version, v.Go, v.Platform)
	}
	return cmd
}

type version struct {
	Version  string `json:"version"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}
