package config

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/drengskapur/fastmcp-runner/internal/allowlist"
)

// What is read of a file at most.
const (
	maxSecretBytes       = 64 << 10
	maxCABytes           = 1 << 20
	maxDockerConfigBytes = 1 << 20
)

// opener opens a file; nil if none is to be read.
type opener func(name string) (fs.File, error)

// read returns the content of a file that is not larger than limit. Its error
// leaves out the name, which the caller's reader sees anyway.
func (open opener) read(name string, limit int64) (content []byte, err error) {
	f, err := open(name)
	if err != nil {
		return nil, withoutPath(err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	content, err = io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, withoutPath(err)
	}
	if int64(len(content)) > limit {
		return nil, fmt.Errorf("larger than %d KiB", limit>>10)
	}
	return content, nil
}

// withoutPath strips the operation and the path that package os puts before
// the reason.
func withoutPath(err error) error {
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		return pathErr.Err
	}
	return err
}

// credentials returns the registry's user and password, from variables or
// from files: both or neither.
func (p *parser) credentials(t table) (user string, password Secret) {
	user = p.orFile("REGISTRY_USER", t.RegistryUser, t.RegistryUserFile)
	secret := p.orFile("REGISTRY_PASSWORD", t.RegistryPassword, t.RegistryPasswordFile)
	if strings.Contains(user, ":") {
		p.faults.add("REGISTRY_USER", "REGISTRY_USER=%s: holds a colon, which HTTP Basic authentication (RFC 7617) cannot carry", show(user))
	}
	userFrom, passwordFrom := p.either("REGISTRY_USER"), p.either("REGISTRY_PASSWORD")
	if userFrom != "" && passwordFrom == "" {
		p.faults.add(userFrom, "%s is set but REGISTRY_PASSWORD is not: set both, or neither", userFrom)
	}
	if passwordFrom != "" && userFrom == "" {
		p.faults.add(passwordFrom, "%s is set but REGISTRY_USER is not: set both, or neither", passwordFrom)
	}
	return user, NewSecret(secret)
}

// either returns which of a variable and its _FILE is set; "" if none.
func (p *parser) either(name string) string {
	for _, name := range []string{name, name + "_FILE"} {
		if p.set(name) {
			return name
		}
	}
	return ""
}

// orFile returns the value of a variable, or the content of the file that the
// variable's _FILE names.
func (p *parser) orFile(variable string, value credential, file filename) string {
	fileVariable := variable + "_FILE"
	if p.set(variable) && p.set(fileVariable) {
		p.faults.add(variable, "%s and %s are both set: keep one", variable, fileVariable)
	}
	if file == "" || p.open == nil {
		return string(value)
	}
	content, err := p.open.secret(string(file))
	if err != nil {
		p.wrong(fileVariable, "cannot read the file: "+err.Error())
	}
	return content
}

// secret reads a file that holds a credential. An editor's line break at its
// end is no part of it.
func (open opener) secret(name string) (string, error) {
	content, err := open.read(name, maxSecretBytes)
	if err != nil {
		return "", err
	}
	s := strings.TrimSuffix(strings.TrimSuffix(string(content), "\n"), "\r")
	if s == "" {
		return "", errors.New("it is empty")
	}
	return s, checkCredential(s)
}

// caCerts returns the PEM file of certificate authorities.
func (p *parser) caCerts(file filename) []byte {
	if file == "" || p.open == nil {
		return nil
	}
	content, err := p.open.read(string(file), maxCABytes)
	if err == nil {
		err = checkCerts(content)
	}
	if err != nil {
		p.wrong("RUNNER_CA_FILE", "cannot read the file: "+err.Error())
	}
	return content
}

// checkCerts finds a certificate that cannot be parsed, which
// x509.CertPool.AppendCertsFromPEM would leave out without a word.
func checkCerts(content []byte) error {
	n := 0
	for block, rest := pem.Decode(content); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		n++
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return fmt.Errorf("certificate %d: %w", n, err)
		}
	}
	if n == 0 {
		return errors.New("it holds no certificate in PEM form")
	}
	return nil
}

// allow returns the allowlist with the paths of RUNNER_ALLOW_PATHS.
func (p *parser) allow(paths []string) allowlist.List {
	list, err := allowlist.New(paths)
	if err != nil {
		p.wrong("RUNNER_ALLOW_PATHS", err.Error())
	}
	return list
}

// DockerConfig is the configuration of a Docker client, which may hold
// credentials or name the helpers that do.
type DockerConfig struct {
	// Source is the file's name, or the variable that held the content.
	Source string
	// JSON is the content: a JSON object.
	JSON Secret
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
		list = append(list, DockerConfig{Source: "DOCKER_AUTH_CONFIG", JSON: NewSecret(string(t.DockerAuthConfig))})
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
	config.JSON = NewSecret(string(content))
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
