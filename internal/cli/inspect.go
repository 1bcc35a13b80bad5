package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/drengskapur/fastmcp-runner/internal/boot"
	"github.com/drengskapur/fastmcp-runner/internal/config"
)

// outputFlag adds --output, which a program sets to json.
func outputFlag(cmd *cobra.Command) *string {
	output := cmd.Flags().StringP("output", "o", "table", "how to print: table or json")
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if *output != "table" && *output != "json" {
			return &boot.ConfigError{Err: fmt.Errorf("--output=%q: not one of table, json", *output)}
		}
		return nil
	}
	return output
}

func inspectCommand(p Process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "inspect [IMAGE]",
		Short: "Say what an image is and whether it would start here",
		Long: `Resolves the image and plans its launch, without fetching a layer: what the
image is, what would run, and whether it would start here. IMAGE is taken from
the environment if it is not given.`,
		Args: cobra.MaximumNArgs(1),
	}
	output := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		in, err := inspect(cmd.Context(), p, strings.Join(args, ""))
		if err != nil {
			return err
		}
		if *output == "json" {
			return printJSON(p.Stdout, in)
		}
		return printInspection(p.Stdout, in)
	}
	return cmd
}

func inspect(ctx context.Context, p Process, image string) (boot.Inspection, error) {
	cfg, err := p.parse(image, "IMAGE")
	if err != nil {
		return boot.Inspection{}, err
	}
	opts, err := p.options()
	if err != nil {
		return boot.Inspection{}, err
	}
	opts.Log = p.logger(cfg.Secrets()...)
	tellWarnings(opts.Log, cfg)
	return boot.Inspect(ctx, cfg, opts)
}

func printJSON(w io.Writer, value any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(value)
}

// printInspection prints what a person wants to know of an image.
func printInspection(w io.Writer, in boot.Inspection) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, value string) error {
		if value == "" {
			return nil
		}
		return printf(t, "%s\t%s\n", name, value)
	}
	user := in.User
	if in.ImageUser != "" && in.ImageUser != user {
		user += " (the image says " + in.ImageUser + ")"
	}
	err := errors.Join(
		row("Image", in.Image),
		row("Digest", in.Digest),
		row("Platform", in.Platform),
		row("Transport", transportText(in.Transport)),
		row("Command", strings.Join(in.Command, " ")),
		row("User", user),
		row("Directory", in.Directory),
		row("Exposed ports", strings.Join(in.Ports, " ")),
		row("Environment", strings.Join(in.Environment, " ")),
		row("Layers", fmt.Sprintf("%d, %v compressed", len(in.Layers), boot.Size(in.Size))),
	)
	for _, l := range in.Layers {
		err = errors.Join(err, row("", fmt.Sprintf("%s  %8v  %s", l.Digest, boot.Size(l.Size), l.MediaType)))
	}
	for _, warning := range in.Warnings {
		err = errors.Join(err, row("Warning", warning))
	}
	return errors.Join(err, row("Verdict", verdict(in)), row("Hint", in.Hint), t.Flush())
}

func transportText(transport string) string {
	if transport == string(config.Stdio) {
		return "stdio, which the runner serves over HTTP"
	}
	return transport
}

func verdict(in boot.Inspection) string {
	if in.Starts {
		return "starts here, as far as the image's config tells"
	}
	return "would not start here: " + in.Reason
}
