package config

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"slices"
	"strings"

	"github.com/drengskapur/fastmcp-runner/internal/secret"
)

// Secrets returns every credential that the configuration holds, in the forms
// in which it travels, so that a log can be kept clean of them.
func (c *Config) Secrets() []string {
	var list []string
	if !c.RegistryPassword.Empty() {
		list = append(list, basicAuth(c.RegistryUser, c.RegistryPassword.Reveal())...)
	}
	for _, value := range []secret.Value{c.AuthToken, c.SessionKey} {
		if !value.Empty() {
			list = append(list, value.Reveal())
		}
	}
	for _, docker := range c.DockerConfigs {
		list = append(list, docker.secrets()...)
	}
	for _, proxy := range []string{c.Proxy.HTTPProxy, c.Proxy.HTTPSProxy} {
		list = append(list, urlSecrets(proxy)...)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// basicAuth returns the password, alone and as HTTP Basic authentication
// sends it.
func basicAuth(user, password string) []string {
	return []string{password, base64.StdEncoding.EncodeToString([]byte(user + ":" + password))}
}

// secrets returns the credentials that the configuration itself holds.
func (d DockerConfig) secrets() []string {
	var config struct {
		Auths map[string]struct{ Auth, Password, IdentityToken, RegistryToken string }
	}
	if err := json.Unmarshal([]byte(d.JSON.Reveal()), &config); err != nil {
		// What does not have this form cannot be used as credentials either;
		// all of it is kept out of the log.
		return []string{d.JSON.Reveal()}
	}
	var list []string
	for _, auth := range config.Auths {
		for _, value := range []string{auth.Auth, auth.Password, auth.IdentityToken, auth.RegistryToken} {
			if value != "" {
				list = append(list, value)
			}
		}
		if decoded, err := base64.StdEncoding.DecodeString(auth.Auth); err == nil {
			if _, password, ok := strings.Cut(string(decoded), ":"); ok && password != "" {
				list = append(list, password)
			}
		}
	}
	return list
}

// urlSecrets returns the password of a URL, as it stands there and decoded.
func urlSecrets(s string) []string {
	u, err := url.Parse(s)
	if err != nil || u.User == nil {
		u, err = url.Parse("http://" + s)
	}
	if err != nil {
		return nil
	}
	password, ok := u.User.Password()
	if !ok || password == "" {
		return nil
	}
	_, escaped, _ := strings.Cut(u.User.String(), ":")
	return []string{password, escaped}
}
