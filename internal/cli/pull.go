package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/drengskapur/fastmcp-runner/internal/boot"
	"github.com/drengskapur/fastmcp-runner/internal/config"
)

func pullCommand(p Process) *cobra.Command {
	var root string
	cmd := &cobra.Command{
		Use:   "pull [IMAGE]",
		Short: "Lay an image down without running it",
		Long: `Pulls the image and lays its files below a directory, as "run" would before it
starts the server. A later start with the same image and the same settings
finds it there and pulls nothing. IMAGE is taken from the environment if it is
not given.`,
		Args: cobra.MaximumNArgs(1),
	}
	cmd.Flags().StringVar(&root, "root", "", "the directory to lay it below (default RUNNER_ROOT)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if root != "" {
			p.Environ = append(p.Environ, "RUNNER_ROOT="+root)
		}
		image := ""
		if len(args) == 1 {
			image = args[0]
		}
		return pull(cmd.Context(), p, image)
	}
	return cmd
}

func pull(ctx context.Context, p Process, image string) error {
	cfg, err := p.parseFor(config.Nothing, image, "IMAGE")
	if err != nil {
		return err
	}
	opts, err := p.options()
	if err != nil {
		return err
	}
	opts.Log = p.logger(cfg.Secrets()...)
	tellWarnings(opts.Log, cfg)
	opts.Progress = new(boot.Progress)
	done := showProgress(opts.Progress.Snapshot, p.Stderr, opts.Log)
	defer done()
	return boot.Pull(ctx, cfg, opts)
}
