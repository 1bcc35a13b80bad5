package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
)

// RegistryProgram is CNCF distribution, as Debian packages it.
const RegistryProgram = "docker-registry"

// listening is how it says at which port the kernel has put it.
var listening = regexp.MustCompile(`listening on (127\.0\.0\.1:\d+)`)

// StartRegistry starts an empty registry below dir, and returns it with the
// address at which it listens: where the kernel chooses on loopback, if address
// is empty. The settings are further ones, as variables of its environment.
func StartRegistry(ctx context.Context, dir, address string, settings ...string) (*Daemon, string, error) {
	config := filepath.Join(dir, "config.yml")
	body := fmt.Sprintf("version: 0.1\nlog: {level: info, accesslog: {disabled: true}}\n"+
		"storage: {filesystem: {rootdirectory: %q}}\nhttp: {addr: %q, secret: none}\n",
		filepath.Join(dir, "data"), cmp.Or(address, "127.0.0.1:0"))
	if err := os.WriteFile(config, []byte(body), 0o600); err != nil {
		return nil, "", err
	}
	cmd := exec.CommandContext(context.WithoutCancel(ctx), RegistryProgram, "serve", config) //nolint:gosec // G204: the directory is the caller's
	cmd.Env = append(cmd.Environ(), settings...)
	d, err := Start(filepath.Join(dir, "log"), cmd)
	if err != nil {
		return nil, "", err
	}
	err = d.Ready(ctx, func(context.Context) error {
		log, err := os.ReadFile(d.Log)
		if err != nil {
			return err
		}
		found := listening.FindSubmatch(log)
		if found == nil {
			return errors.New("it does not listen")
		}
		address = string(found[1])
		return nil
	})
	if err != nil {
		return nil, "", errors.Join(err, d.Stop())
	}
	return d, address, nil
}
