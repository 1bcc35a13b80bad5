package config

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"unicode"

	"github.com/drengskapur/fastmcp-runner/internal/secret"
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
func (p *parser) credentials(t table) (user string, password secret.Value) {
	user = p.orFile("REGISTRY_USER", t.RegistryUser, t.RegistryUserFile)
	hidden := p.orFile("REGISTRY_PASSWORD", t.RegistryPassword, t.RegistryPasswordFile)
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
	return user, secret.New(hidden)
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

// credential is half of what HTTP Basic authentication sends.
type credential string

func (c *credential) UnmarshalText(text []byte) error {
	if err := checkCredential(string(text)); err != nil {
		return err
	}
	*c = credential(text)
	return nil
}

// checkCredential refuses what RFC 7617, section 2, does.
func checkCredential(s string) error {
	if strings.ContainsFunc(s, unicode.IsControl) {
		return errors.New("holds a control character, perhaps a line break at its end")
	}
	return nil
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
