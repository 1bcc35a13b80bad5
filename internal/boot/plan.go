package boot

import (
	"context"
	"errors"
	"net/url"
	"strings"

	"github.com/drengskapur/fastmcp-runner/internal/config"
	"github.com/drengskapur/fastmcp-runner/internal/ids"
	"github.com/drengskapur/fastmcp-runner/internal/image"
	"github.com/drengskapur/fastmcp-runner/internal/launch"
	"github.com/drengskapur/fastmcp-runner/internal/registry"
	"github.com/drengskapur/fastmcp-runner/internal/rootfs"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Resolve finds out what IMAGE means: a digest, a config and layers that are
// still where the image lies.
func Resolve(ctx context.Context, cfg *config.Config, opts Options) (*image.Image, error) {
	proxy := cfg.Proxy.ProxyFunc()
	ropts := registry.Options{
		Credentials: registry.Credentials{Username: cfg.RegistryUser, Password: cfg.RegistryPassword},
		Environ:     cfg.ServerEnv,
		Insecure:    cfg.InsecureRegistries,
		RootCAs:     cfg.CACerts,
		Proxy:       func(u *url.URL) (*url.URL, error) { return proxy(u) },
		UserAgent:   opts.UserAgent,
		Log:         opts.Log,
	}
	for _, docker := range cfg.DockerConfigs {
		ropts.DockerConfigs = append(ropts.DockerConfigs, registry.DockerConfig{Source: docker.Source, JSON: docker.JSON})
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
func planLaunch(said *image.Config, cfg *config.Config, opts Options, root *rootfs.Root) (launch.Plan, error) {
	user := expectedUser(said.User, cfg, opts)
	home, err := lookupHome(root, user)
	if err != nil {
		opts.Log.Warn("Cannot read the user's home from /etc/passwd", "reason", err)
	}
	if images, known := imagesUser(said.User); cfg.Mode == config.ModeRootfs && known && images.UID == 0 {
		home = rootHome // where the image's files say no other
	}
	return newPlan(imageOf(said), settings(cfg, user, home))
}

// newPlan plans a launch. If nothing but our configuration is in its way, the
// error is a ConfigError.
func newPlan(spec launch.Image, set launch.Settings) (launch.Plan, error) {
	plan, err := launch.New(spec, set)
	if errors.Is(err, launch.ErrNothingLeft) {
		return plan, &ConfigError{Err: err}
	}
	return plan, err
}

// imageOf is what an OCI image config says about starting a container.
func imageOf(c *image.Config) launch.Image {
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
func settings(cfg *config.Config, user ids.User, home string) launch.Settings {
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

// expectedUser is whom the server will run as, as far as the image config tells.
func expectedUser(imageUser string, cfg *config.Config, opts Options) ids.User {
	images, known := imagesUser(imageUser)
	if cfg.Mode != config.ModeRootfs || !known {
		return serverUser(cfg, opts)
	}
	return wholeUser(images, cfg, opts)
}

// imagesUser is the User of an image config without the image's files: what a
// name means is not known then, and the group is 0 unless it is a number.
func imagesUser(spec string) (user ids.User, known bool) {
	name, group, _ := strings.Cut(spec, ":")
	if strings.Trim(group, "0123456789") != "" {
		spec = name
	}
	account, err := launch.ResolveAccount(spec, nil, nil)
	return account.User, err == nil || name == "root"
}

// wholeUser is whom a whole image runs as: RUNNER_USER, else the image's own user
// if that is not root and we can become it, else the default user, else who we
// are.
func wholeUser(images ids.User, cfg *config.Config, opts Options) ids.User {
	if !cfg.UserGiven && images.UID != 0 && (opts.MayBecome || images == opts.Self) {
		return images
	}
	return serverUser(cfg, opts)
}

// serverUser is whom the server runs as that is not given the image's own user:
// RUNNER_USER if we can become it, else whom we are.
func serverUser(cfg *config.Config, opts Options) ids.User {
	if opts.Self.UID == 0 || opts.MayBecome || cfg.User == opts.Self {
		return cfg.User
	}
	return opts.Self
}

// tellOverruled says once a command that RUNNER_USER has no effect.
func tellOverruled(cfg *config.Config, opts Options) {
	user := serverUser(cfg, opts)
	if cfg.UserGiven && user != cfg.User {
		opts.Log.Warn("Check the configuration", "reason", "RUNNER_USER is overruled: only root can become another user",
			"wanted", cfg.User.String(), "is", user.String())
	}
}

// lookupHome returns the home directory of the user in the root's /etc/passwd,
// empty if it has none.
func lookupHome(root *rootfs.Root, user ids.User) (string, error) {
	passwd, err := readAccountFile(root, "/etc/passwd")
	if err != nil {
		return "", err
	}
	home, _ := launch.LookupHome(passwd, user.UID)
	return home, nil
}

// totalSize is the size of the compressed layers in bytes.
func totalSize(img *image.Image) int64 {
	var total int64
	for _, l := range img.Layers {
		total += l.Descriptor().Size
	}
	return total
}
