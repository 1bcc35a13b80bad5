package boot

import (
	"context"
	"errors"
	"net/url"

	"github.com/drengskapur/fastmcp-runner/internal/config"
	"github.com/drengskapur/fastmcp-runner/internal/launch"
	"github.com/drengskapur/fastmcp-runner/internal/registry"
	"github.com/drengskapur/fastmcp-runner/internal/rootfs"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Resolve finds out what IMAGE means: a digest, a config and layers that are
// still at the registry.
func Resolve(ctx context.Context, cfg *config.Config, opts Options) (*registry.Image, error) {
	proxy := cfg.Proxy.ProxyFunc()
	ropts := registry.Options{
		Credentials: registry.Credentials{Username: cfg.RegistryUser, Password: registry.Secret(cfg.RegistryPassword.Reveal())},
		Environ:     cfg.ServerEnv,
		Insecure:    cfg.InsecureRegistries,
		RootCAs:     cfg.CACerts,
		Proxy:       func(u *url.URL) (*url.URL, error) { return proxy(u) },
		UserAgent:   opts.UserAgent,
		Log:         opts.Log,
	}
	for _, docker := range cfg.DockerConfigs {
		ropts.DockerConfigs = append(ropts.DockerConfigs, registry.DockerConfig{Source: docker.Source, JSON: registry.Secret(docker.JSON.Reveal())})
	}
	client, err := registry.New(ropts)
	if err != nil {
		return nil, &ConfigError{Err: err}
	}
	var platform v1.Platform
	if cfg.Platform != nil {
		platform = *cfg.Platform
	}
	img, err := client.Resolve(ctx, cfg.Image, platform)
	if _, ok := errors.AsType[*registry.DockerConfigError](err); ok {
		return nil, &ConfigError{Err: err}
	}
	return img, err
}

// planLaunch decides what runs, out of the image's config and ours.
func planLaunch(image *registry.ImageConfig, cfg *config.Config, opts Options, root *rootfs.Root) (launch.Plan, error) {
	user := serverUser(cfg, opts)
	home, err := lookupHome(root, user)
	if err != nil {
		opts.Log.Warn("Cannot read the user's home from /etc/passwd", "reason", err)
	}
	return newPlan(imageOf(image), settings(cfg, user, home))
}

// newPlan plans a launch. If nothing but our configuration is in its way, the
// error is a ConfigError.
func newPlan(image launch.Image, set launch.Settings) (launch.Plan, error) {
	plan, err := launch.New(image, set)
	if errors.Is(err, launch.ErrNothingLeft) {
		return plan, &ConfigError{Err: err}
	}
	return plan, err
}

// imageOf is what an OCI image config says about starting a container.
func imageOf(c *registry.ImageConfig) launch.Image {
	return launch.Image{
		Env:          c.Env,
		WorkingDir:   c.WorkingDir,
		Entrypoint:   c.Entrypoint,
		Cmd:          c.Cmd,
		User:         c.User,
		StopSignal:   c.StopSignal,
		ExposedPorts: c.ExposedPorts,
	}
}

// settings is what our configuration adds to it.
func settings(cfg *config.Config, user launch.User, home string) launch.Settings {
	return launch.Settings{
		Allowlist:   cfg.Mode == config.ModeAllowlist,
		Init:        cfg.Init == config.On || cfg.Transport == config.Stdio,
		Environ:     cfg.ServerEnv,
		Passthrough: cfg.Passthrough,
		Port:        cfg.Port,
		Host:        cfg.Host,
		Transport:   string(cfg.Transport),
		Path:        cfg.Path,
		Entrypoint:  cfg.Entrypoint,
		Cmd:         cfg.Cmd,
		User:        user,
		Home:        home,
	}
}

// serverUser is whom the server runs as: RUNNER_USER if we can become it, else
// whom we are.
func serverUser(cfg *config.Config, opts Options) launch.User {
	given, self := launch.User(cfg.User), launch.User{UID: opts.UID, GID: opts.GID}
	if opts.UID == 0 || opts.MayBecome || given == self {
		return given
	}
	if cfg.UserGiven {
		opts.Log.Warn("RUNNER_USER is overruled: only root can become another user", "wanted", given.String(), "is", self.String())
	}
	return self
}

// lookupHome returns the home directory of the user in the root's /etc/passwd,
// empty if it has none.
func lookupHome(root *rootfs.Root, user launch.User) (string, error) {
	passwd, err := readAccountFile(root, "/etc/passwd")
	if err != nil {
		return "", err
	}
	home, _ := launch.LookupHome(passwd, user.UID)
	return home, nil
}

// totalSize is the size of the compressed layers in bytes.
func totalSize(img *registry.Image) int64 {
	var total int64
	for _, l := range img.Layers {
		total += l.Size
	}
	return total
}
