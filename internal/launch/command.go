package launch

import (
	"errors"
	"fmt"
	"slices"

	"github.com/drengskapur/fastmcp-runner/internal/hint"
)

// command is the argv of a plan and what there is to say about it.
type command struct {
	argv     []string
	warnings []string
}

func chooseCommand(img Image, set Settings) (command, error) {
	entrypoint, cmd := img.Entrypoint, img.Cmd
	if set.Entrypoint != nil {
		entrypoint, cmd = set.Entrypoint, nil
	}
	if set.Cmd != nil {
		cmd = set.Cmd
	}
	var warnings []string
	skip := set.Entrypoint == nil && set.Allowlist && isInitScript(entrypoint)
	if skip {
		warnings = []string{fmt.Sprintf("the image's Entrypoint %q is skipped in favour of its Cmd: it lies outside the allowlist", entrypoint[0])}
		entrypoint = nil
	}
	argv := slices.Concat(entrypoint, cmd)
	switch {
	case len(argv) == 0 && skip:
		return command{}, hint.Add(
			fmt.Errorf("the image's Entrypoint %q is skipped, because it lies outside the allowlist, and there is no Cmd to run instead", img.Entrypoint[0]),
			"name the program by RUNNER_ENTRYPOINT or RUNNER_CMD, such as RUNNER_CMD=\"python -m server\"")
	case len(argv) == 0 && set.Entrypoint == nil && set.Cmd == nil:
		return command{}, hint.Add(errors.New("the image has neither an Entrypoint nor a Cmd"),
			"name the program by RUNNER_ENTRYPOINT or RUNNER_CMD, or give the image an ENTRYPOINT")
	case len(argv) == 0:
		return command{}, ErrNothingLeft
	case argv[0] == "":
		return command{}, errors.New("the first word of the command is empty")
	}
	return command{argv, warnings}, nil
}

func isInitScript(entrypoint []string) bool {
	if len(entrypoint) == 0 {
		return false
	}
	switch entrypoint[0] {
	case "/entrypoint.sh", "entrypoint.sh", "/start.sh", "/init.sh":
		return true
	}
	return false
}
