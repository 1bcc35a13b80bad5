// Package launch decides what runs: it turns an image config and the
// operator's settings into a Plan of argv, environment, directory and user.
//
// It is one pure function and knows nothing of disks, processes, registries
// or of where its values came from. What it decides, package handoff does.
package launch

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/drengskapur/fastmcp-runner/internal/ids"
)

// Image is what the image config says about starting a container. The caller
// copies it from the OCI image config
// (https://github.com/opencontainers/image-spec/blob/v1.1.1/config.md).
type Image struct {
	// Env holds NAME=value entries.
	Env []string
	// WorkingDir is the directory to start in; empty means /app.
	WorkingDir string
	// Entrypoint and Cmd make up the command, in this order.
	Entrypoint, Cmd []string
	// User is the user that the image asks for. It is only ever a warning:
	// the server runs as Settings.User.
	User string
	// ExposedPorts are the ports that the server is said to listen on, such
	// as "8080/tcp".
	ExposedPorts []string
	// StopSignal is the signal that the image wants to be stopped by.
	StopSignal string
}

// Settings are what the operator and the container add to the image config.
type Settings struct {
	// Allowlist says that only the allowed paths of the image are laid down,
	// so that its init scripts (see New) are not there.
	Allowlist bool

	// Init says that a parent of the server stays, which honours the image's
	// StopSignal.
	Init bool

	// Environ is the container's environment without the runner's own
	// variables, as NAME=value.
	Environ []string
	// Passthrough holds the variables meant for the server alone (MCP_ENV_*
	// without the prefix), as NAME=value. Their values are secret.
	Passthrough []string

	// Port, Host, Transport and Path reach the server as PORT, HOST,
	// MCP_TRANSPORT and MCP_PATH, whatever else sets these names. To a server
	// with the transport "stdio" they say where somebody else listens for it.
	Port                  int
	Host, Transport, Path string

	// Entrypoint and Cmd override the image's; nil leaves the image's. An
	// overridden Entrypoint drops the image's Cmd too, because that Cmd was
	// written for the other program: so does docker run --entrypoint.
	Entrypoint, Cmd []string

	// User is who the server runs as, and Home its entry in /etc/passwd;
	// empty if it has none.
	User ids.User
	Home string
}

// Plan is a launch that has been decided: everything execve(2) needs, except
// for the file that Argv[0] names.
type Plan struct {
	// Argv is the command; its first word is not empty.
	Argv []string
	// Env is the whole environment as NAME=value, sorted by name, each name
	// once.
	Env []string
	// Dir is the directory to start in: absolute and clean.
	Dir string
	// User is who the server runs as.
	User ids.User
	// Secret names the variables of Env whose values no log may show.
	Secret []string
	// Warnings are sentences about what was skipped or overruled, and about
	// what will probably not work.
	Warnings []string
}

// ErrNothingLeft says that the operator's overrides leave nothing to run.
var ErrNothingLeft = errors.New("RUNNER_ENTRYPOINT and RUNNER_CMD leave no command to run")

// defaultDir is where a server starts whose image has no WorkingDir.
const defaultDir = "/app"

// New plans the launch of an image. It fails when the image and the settings
// name no command, or when something holds a NUL byte, which execve(2) cannot
// pass on.
//
// With Settings.Allowlist, the image's Entrypoint is skipped in favour of its
// Cmd when it is one of /entrypoint.sh, entrypoint.sh, /start.sh and
// /init.sh: they lie outside the allowlist, and a base image may have its own
// file of that name, which must not run in their place.
func New(img Image, set Settings) (Plan, error) {
	plan, err := decide(img, set)
	if err != nil {
		return Plan{}, fmt.Errorf("cannot plan the launch: %w", err)
	}
	return plan, nil
}

func decide(img Image, set Settings) (Plan, error) {
	cmd, err := chooseCommand(img, set)
	if err != nil {
		return Plan{}, err
	}
	env, err := mergeEnv(img, set)
	if err != nil {
		return Plan{}, err
	}
	plan := Plan{
		Argv:     cmd.argv,
		Env:      env.entries(),
		Dir:      workingDir(img),
		User:     set.User,
		Secret:   env.secret(),
		Warnings: slices.Concat(cmd.warnings, env.warnings, portWarnings(img, set), imageWarnings(img, set)),
	}
	return plan, plan.checkNUL()
}

func workingDir(img Image) string {
	if img.WorkingDir == "" {
		return defaultDir
	}
	return path.Clean("/" + img.WorkingDir)
}

// checkNUL names what holds a NUL byte, but never shows it: it may be secret.
func (p Plan) checkNUL() error {
	for i, arg := range p.Argv {
		if strings.Contains(arg, "\x00") {
			return fmt.Errorf("word %d of the command holds a NUL byte", i+1)
		}
	}
	if strings.Contains(p.Dir, "\x00") {
		return fmt.Errorf("the image's WorkingDir %q holds a NUL byte", p.Dir)
	}
	for _, entry := range p.Env {
		if strings.Contains(entry, "\x00") {
			name, _, _ := strings.Cut(entry, "=")
			return fmt.Errorf("the environment variable %q holds a NUL byte", name)
		}
	}
	return nil
}

// Lookup returns the value that the plan gives to an environment variable,
// and whether it sets it at all.
func (p Plan) Lookup(name string) (string, bool) {
	for _, entry := range p.Env {
		if n, value, _ := strings.Cut(entry, "="); n == name {
			return value, true
		}
	}
	return "", false
}

// WithEnv returns a copy of the plan in which an environment variable has
// this value.
func (p Plan) WithEnv(name, value string) Plan {
	entry := name + "=" + value
	i, found := slices.BinarySearchFunc(p.Env, name, func(e, name string) int {
		n, _, _ := strings.Cut(e, "=")
		return strings.Compare(n, name)
	})
	p.Env = slices.Clone(p.Env)
	if found {
		p.Env[i] = entry
	} else {
		p.Env = slices.Insert(p.Env, i, entry)
	}
	return p
}
