package registry

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/drengskapur/fastmcp-runner/internal/secret"
)

// dockerHub is the one key under which the Docker CLI keeps what it knows of
// Docker Hub, whatever name the user wrote.
const dockerHub = "https://index.docker.io/v1/"

// DockerConfig is a Docker configuration as it was found.
type DockerConfig struct {
	// Source is where it was found, for errors: a file or variable.
	Source string
	// JSON is its content.
	JSON secret.Value
}

// DockerConfigError says what is wrong with a Docker configuration.
type DockerConfigError struct {
	// Source is that of the DockerConfig.
	Source string

	cause string
}

// Error names the configuration and the fault, and shows nothing of what may be
// a credential.
func (e *DockerConfigError) Error() string {
	return fmt.Sprintf("the Docker configuration %q is unreadable: %s", e.Source, e.cause)
}

// dockerConfig is the part of a Docker config file that concerns credentials.
// docker/cli's own reader is not used: it reads the environment and prints to
// standard error.
type dockerConfig struct {
	Auths       map[string]dockerAuth `json:"auths"`
	CredsStore  string                `json:"credsStore"`
	CredHelpers map[string]string     `json:"credHelpers"`

	source string
}

type dockerAuth struct {
	Auth          secret.Value `json:"auth"` // base64 of user:password
	Username      string       `json:"username"`
	Password      secret.Value `json:"password"`
	IdentityToken secret.Value `json:"identitytoken"`
	RegistryToken secret.Value `json:"registrytoken"`
}

func parseDockerConfigs(found []DockerConfig) ([]dockerConfig, error) {
	configs := make([]dockerConfig, len(found))
	for i, f := range found {
		configs[i].source = f.Source
		if err := json.Unmarshal([]byte(f.JSON.Reveal()), &configs[i]); err != nil {
			return nil, &DockerConfigError{Source: f.Source, cause: jsonFault(err)}
		}
	}
	return configs, nil
}

// jsonFault says in words of JSON what package json says in those of Go. It
// leaves out what the decoder quotes.
func jsonFault(err error) string {
	wrong, ok := errors.AsType[*json.UnmarshalTypeError](err)
	if !ok {
		return "not JSON"
	}
	kind, _, _ := strings.Cut(wrong.Value, " ") // A number is followed by its digits.
	if wrong.Field == "" {
		return fmt.Sprintf("its content is of type %s, not an object", kind)
	}
	return fmt.Sprintf("its %q is of type %s, which does not belong there", wrong.Field, kind)
}

// loginFor finds who we are to the registry of repo.
func (c *Client) loginFor(ctx context.Context, repo name.Repository) (login, error) {
	if c.credentials != (Credentials{}) {
		return login{username: c.credentials.Username, password: c.credentials.Password}, nil
	}
	for _, config := range c.configs {
		if helper := config.helper(repo); helper != "" {
			if l := c.askHelper(ctx, helper, helperKey(repo)); !l.anonymous() {
				return l, nil
			}
		}
		l, err := config.login(repo)
		if err != nil || !l.anonymous() {
			return l, err
		}
	}
	return login{}, nil
}

// helper returns the name of the helper for the registry of repo, or "".
func (c *dockerConfig) helper(repo name.Repository) string {
	for _, key := range slices.Sorted(maps.Keys(c.CredHelpers)) {
		if normalKey(key) == normalKey(repo.RegistryStr()) {
			return c.CredHelpers[key]
		}
	}
	return c.CredsStore
}

// login returns the entry for repo: that of the longest path that leads to it
// (containers-auth.json(5)), so at last that of its registry.
func (c *dockerConfig) login(repo name.Repository) (login, error) {
	path := normalKey(repo.RegistryStr()) + "/" + repo.RepositoryStr()
	for {
		l, err := c.entry(path)
		cut := strings.LastIndexByte(path, '/')
		if err != nil || !l.anonymous() || cut < 0 {
			return l, err
		}
		path = path[:cut]
	}
}

// entry returns the entry for one path. Docker Desktop leaves empty ones, which
// are none.
func (c *dockerConfig) entry(path string) (login, error) {
	for _, key := range slices.Sorted(maps.Keys(c.Auths)) {
		if normalKey(key) != path {
			continue
		}
		l, err := c.Auths[key].login()
		if err != nil {
			return login{}, &DockerConfigError{Source: c.source, cause: fmt.Sprintf("the entry %q: %v", key, err)}
		}
		if !l.anonymous() {
			return l, nil
		}
	}
	return login{}, nil
}

func (a dockerAuth) login() (login, error) {
	l := login{username: a.Username, password: a.Password, identityToken: a.IdentityToken, registryToken: a.RegistryToken}
	if a.Auth.Empty() {
		return l, nil
	}
	pair, err := base64.StdEncoding.DecodeString(a.Auth.Reveal())
	username, password, ok := strings.Cut(strings.TrimRight(string(pair), "\x00"), ":")
	if err != nil || !ok {
		return login{}, errors.New(`its "auth" is not the base64 of user:password`)
	}
	l.username, l.password = username, secret.New(password)
	return l, nil
}

// helperKey is what a credential helper is asked for.
func helperKey(repo name.Repository) string {
	if repo.RegistryStr() == name.DefaultRegistry {
		return dockerHub
	}
	return repo.RegistryStr()
}

// normalKey returns a key of a config as host or host/path: without scheme,
// version and closing slash, in lower case, and with one name for Docker Hub.
func normalKey(key string) string {
	if _, rest, ok := strings.Cut(key, "://"); ok {
		key = rest
	}
	key = strings.TrimSuffix(strings.ToLower(key), "/")
	key = strings.TrimSuffix(strings.TrimSuffix(key, "/v1"), "/v2")
	host, path, nested := strings.Cut(key, "/")
	if host == "docker.io" || host == "registry-1.docker.io" {
		host = name.DefaultRegistry
	}
	if !nested {
		return host
	}
	return host + "/" + path
}
