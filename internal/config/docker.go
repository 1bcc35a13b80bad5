package config

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/drengskapur/fastmcp-runner/internal/secret"
)

// DockerConfig is the configuration of a Docker client, which may hold
// credentials or name the helpers that do.
type DockerConfig struct {
	// Source is the file's name, or the variable that held the content.
	Source string
	// JSON is the content: a JSON object.
	JSON secret.Value
}

// dockerAuth is the content of a Docker configuration, as JSON or as base64 of
// it.
type dockerAuth string

func (d *dockerAuth) UnmarshalText(text []byte) error {
	content := bytes.TrimSpace(text)
	if decoded, err := base64.StdEncoding.DecodeString(string(content)); err == nil {
		content = decoded
	}
	if err := checkDockerConfig(content); err != nil {
		return errors.New("neither a JSON object nor base64 of one")
	}
	*d = dockerAuth(content)
	return nil
}

// checkDockerConfig tells an object from other content. The error leaves out
// the decoder's, which quotes from the content.
func checkDockerConfig(content []byte) error {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(content, &object); err != nil || object == nil {
		return errors.New("not a JSON object")
	}
	return nil
}

// dockerConfigs returns the Docker configurations, the most explicit first.
func (p *parser) dockerConfigs(t table) []DockerConfig {
	var list []DockerConfig
	if t.DockerAuthConfig != "" {
		list = append(list, DockerConfig{Source: "DOCKER_AUTH_CONFIG", JSON: secret.New(string(t.DockerAuthConfig))})
	}
	if p.open == nil {
		return list
	}
	named, home := string(t.DockerConfig), p.values["HOME"]
	switch {
	case named != "":
		config, err := p.open.dockerConfig(named)
		if err != nil {
			p.wrong("DOCKER_CONFIG", "cannot read the Docker configuration: "+err.Error())
		}
		list = append(list, config)
	case home != "":
		config, err := p.open.dockerConfig(path.Join(home, ".docker", "config.json"))
		if err == nil {
			list = append(list, config)
		} else if !errors.Is(err, fs.ErrNotExist) {
			p.warnings = append(p.warnings, fmt.Sprintf("the Docker configuration %q is not used: %v", config.Source, err))
		}
	}
	return list
}

// dockerConfig reads a Docker configuration from a file, or from the
// config.json of a directory. The Source of the result is set in any case.
func (open opener) dockerConfig(name string) (DockerConfig, error) {
	isDir, err := open.isDir(name)
	if err != nil {
		return DockerConfig{Source: name}, err
	}
	if isDir {
		name = path.Join(name, "config.json")
	}
	config := DockerConfig{Source: name}
	content, err := open.read(name, maxDockerConfigBytes)
	if err != nil {
		return config, fmt.Errorf("%s: %w", path.Base(name), err)
	}
	config.JSON = secret.New(string(content))
	return config, checkDockerConfig(content)
}

// isDir reports whether the name is that of a directory.
func (open opener) isDir(name string) (isDir bool, err error) {
	f, err := open(name)
	if err != nil {
		return false, withoutPath(err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return false, withoutPath(err)
	}
	return info.IsDir(), nil
}
