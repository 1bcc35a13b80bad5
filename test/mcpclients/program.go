package mcpclients

import (
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
)

// words returns what the programs of other languages say and look for, as JSON.
func words() string {
	text, err := json.Marshal([]string{greeting, sampled, elicited, rootURI, resourceURI})
	if err != nil {
		panic(err) // they are constants
	}
	return string(text)
}

// tourOf returns the tour that a program prints.
func tourOf(cmd *exec.Cmd) (Tour, error) {
	out, err := cmd.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		err = fmt.Errorf("%w: %s", err, exit.Stderr)
	}
	tour := Tour{}
	if len(out) > 0 {
		err = errors.Join(err, json.Unmarshal(out, &tour))
	}
	return tour, err
}
