package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/drengskapur/fastmcp-runner/internal/config"
	"github.com/drengskapur/fastmcp-runner/internal/hint"
)

// maxEdits is how far a mistyped word may be from the one that was meant.
const maxEdits = 2

// imageOrCommand judges arguments that begin with the name of no command. A word
// with one of / : @ . is an image reference; any other is a mistyped command.
func imageOrCommand(cmd *cobra.Command, args []string) error {
	if len(args) > 0 && !strings.ContainsAny(args[0], "/:@.") {
		return unknownCommand(cmd, args[0])
	}
	return oneImage(cmd, args)
}

// oneImage takes an image reference or nothing.
func oneImage(cmd *cobra.Command, args []string) error {
	if len(args) <= 1 {
		return nil
	}
	return hint.Add(fmt.Errorf("%s takes one IMAGE and nothing after it, but got %q too", cmd.Name(), args[1]),
		"what the server gets as arguments is set by RUNNER_CMD")
}

func unknownCommand(cmd *cobra.Command, word string) error {
	var names []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
	}
	return hint.Add(fmt.Errorf("unknown command %q for %q%s", word, cmd.Name(), didYouMean(word, names, "")),
		fmt.Sprintf("an image of this name is run by \"run %s\"", word))
}

// flagFault adds the flag that was probably meant.
func flagFault(cmd *cobra.Command, err error) error {
	unknown, ok := errors.AsType[*pflag.NotExistError](err)
	if !ok || unknown.GetSpecifiedShortnames() != "" {
		return err
	}
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	return fmt.Errorf("%w%s", err, didYouMean(unknown.GetSpecifiedName(), names, "--"))
}

// didYouMean asks about the name that is nearest to word, empty if none is near.
func didYouMean(word string, names []string, prefix string) string {
	if name, edits := config.Nearest(word, names); name != "" && edits <= maxEdits {
		return fmt.Sprintf(": did you mean %q?", prefix+name)
	}
	return ""
}

// first returns the first argument, empty if there is none.
func first(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}

// overrules reports whether the environment names an IMAGE other than this one.
func overrules(image string, environ []string) bool {
	given := ""
	for _, entry := range environ {
		if value, ok := strings.CutPrefix(entry, "IMAGE="); ok {
			given = value
		}
	}
	return given != "" && given != image
}
