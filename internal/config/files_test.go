package config_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"io/fs"
	"math/big"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/drengskapur/fastmcp-runner/internal/config"
)

func file(content string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(content)} }

func TestCredentialsFromFiles(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, content, want string }{
		{"a file without a line break", "hunter22", "hunter22"},
		{"one line break is stripped", "hunter22\n", "hunter22"},
		{"a line break of Windows is stripped", "hunter22\r\n", "hunter22"},
		{"spaces are kept", " hunter 22 ", " hunter 22 "},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			files := fstest.MapFS{"s/password": file(test.content), "s/user": file("me\n")}
			cfg, err := parse(files, "REGISTRY_USER_FILE=/s/user", "REGISTRY_PASSWORD_FILE=/s/password")
			if err != nil {
				t.Fatal(err)
			}
			if cfg.RegistryUser != "me" || cfg.RegistryPassword.Reveal() != test.want {
				t.Errorf("got %q and %q, want me and %q", cfg.RegistryUser, cfg.RegistryPassword.Reveal(), test.want)
			}
		})
	}
}

func TestCredentialFileFaults(t *testing.T) {
	t.Parallel()
	const path = `REGISTRY_PASSWORD_FILE="/s/password": cannot read the file: `
	files := fstest.MapFS{
		"s/empty/password": file("\n"), "s/lines/password": file("hunter22\n\n"), "s/nul/password": file("hunter\x0022"),
		"s/large/password": file(strings.Repeat("x", 64<<10+1)), "s/full/password": file(strings.Repeat("x", 64<<10)),
	}
	for _, test := range []struct{ name, dir, want string }{
		{"a missing file", "s", path + "file does not exist"},
		{"an empty file", "s/empty", path + "it is empty"},
		{"two line breaks", "s/lines", path + "holds a control character, perhaps a line break at its end"},
		{"trap 51: a NUL byte", "s/nul", path + "holds a control character, perhaps a line break at its end"},
		{"a file too large", "s/large", path + "larger than 64 KiB"},
		{"a file of the greatest size", "s/full", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := parse(files, "REGISTRY_USER=me", "REGISTRY_PASSWORD_FILE=/"+test.dir+"/password")
			if test.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantFault(t, err, strings.Replace(test.want, "/s/", "/"+test.dir+"/", 1))
		})
	}
}

func TestVariableAndItsFileAreNotBothSet(t *testing.T) {
	t.Parallel()
	files := fstest.MapFS{"p": file("hunter22")}
	_, err := parse(files, "REGISTRY_USER=me", "REGISTRY_PASSWORD=hunter22", "REGISTRY_PASSWORD_FILE=/p")
	wantFault(t, err, "REGISTRY_PASSWORD and REGISTRY_PASSWORD_FILE are both set: keep one")
}

func TestFileAloneNamesTheFileVariable(t *testing.T) {
	t.Parallel()
	_, err := parse(fstest.MapFS{"u": file("me")}, "REGISTRY_USER_FILE=/u")
	wantFault(t, err, "REGISTRY_USER_FILE is set but REGISTRY_PASSWORD is not: set both, or neither")
}

func TestNilOpenReadsNothing(t *testing.T) {
	t.Parallel()
	cfg, err := config.Parse(config.Source{Environ: []string{
		"REGISTRY_USER_FILE=/u", "REGISTRY_PASSWORD_FILE=/p", "DOCKER_CONFIG=/d", "RUNNER_CA_FILE=/c", "HOME=/h",
	}})
	if err != nil || cfg.RegistryUser != "" || cfg.DockerConfigs != nil || cfg.CACerts != nil {
		t.Errorf("Parse = %+v, %v, want nothing read and no fault", cfg, err)
	}
}

func TestDockerConfigs(t *testing.T) {
	t.Parallel()
	const inline, named, home = `{"auths":{"a":{}}}`, `{"auths":{"b":{}}}`, `{"auths":{"c":{}}}`
	files := fstest.MapFS{
		"dir/config.json": file(named), "file": file(named), "home/.docker/config.json": file(home),
		"broken/.docker/config.json": file("x"),
	}
	encoded := base64.StdEncoding.EncodeToString([]byte(inline))
	for _, test := range []struct {
		name     string
		environ  []string
		want     [][2]string
		warnings []string
	}{
		{"none", []string{"HOME=/nowhere"}, nil, nil},
		{"trap 50: a directory", []string{"DOCKER_CONFIG=/dir"}, [][2]string{{"/dir/config.json", named}}, nil},
		{"trap 50: a file", []string{"DOCKER_CONFIG=/file"}, [][2]string{{"/file", named}}, nil},
		{"that of the home directory", []string{"HOME=/home"}, [][2]string{{"/home/.docker/config.json", home}}, nil},
		{"a named one instead of that", []string{"HOME=/home", "DOCKER_CONFIG=/file"}, [][2]string{{"/file", named}}, nil},
		{"trap 50: inline JSON comes first", []string{"HOME=/home", "DOCKER_AUTH_CONFIG=" + inline + "\n"}, [][2]string{{"DOCKER_AUTH_CONFIG", inline}, {"/home/.docker/config.json", home}}, nil},
		{"trap 50: inline base64", []string{"DOCKER_AUTH_CONFIG=" + encoded}, [][2]string{{"DOCKER_AUTH_CONFIG", inline}}, nil},
		{"a broken one that nobody named", []string{"HOME=/broken"}, nil, []string{`the Docker configuration "/broken/.docker/config.json" is not used: not a JSON object`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			cfg, err := parse(files, test.environ...)
			if err != nil {
				t.Fatal(err)
			}
			var got [][2]string
			for _, c := range cfg.DockerConfigs {
				got = append(got, [2]string{c.Source, c.JSON.Reveal()})
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.warnings, cfg.Warnings); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDockerConfigFaults(t *testing.T) {
	t.Parallel()
	files := fstest.MapFS{"empty": {Mode: fs.ModeDir | 0o755}, "broken": file("hunter22"), "large": file(strings.Repeat(" ", 1<<20+1))}
	for name, want := range map[string]string{
		"missing": "file does not exist",
		"empty":   "config.json: file does not exist",
		"broken":  "not a JSON object",
		"large":   "large: larger than 1024 KiB",
	} {
		_, err := parse(files, "DOCKER_CONFIG=/"+name)
		wantFault(t, err, `DOCKER_CONFIG="/`+name+`": cannot read the Docker configuration: `+want)
	}
}

func TestCAFile(t *testing.T) {
	t.Parallel()
	cert := certificate(t)
	broken := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")})
	files := fstest.MapFS{
		"ca": {Data: cert}, "none": file("hello"), "broken": {Data: slicesConcat(cert, broken)},
	}
	cfg, err := parse(files, "RUNNER_CA_FILE=/ca")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(cfg.CACerts, cert) {
		t.Errorf("CACerts = %q, want the file", cfg.CACerts)
	}
	_, err = parse(files, "RUNNER_CA_FILE=/none")
	wantFault(t, err, `RUNNER_CA_FILE="/none": cannot read the file: it holds no certificate in PEM form`)
	_, err = parse(files, "RUNNER_CA_FILE=/broken")
	wantFault(t, err, `RUNNER_CA_FILE="/broken": cannot read the file: certificate 2: x509: malformed certificate`)
}

func slicesConcat(a, b []byte) []byte { return append(append([]byte(nil), a...), b...) }

// certificate returns a self-signed certificate as PEM.
func certificate(t *testing.T) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// failingFile opens and then fails, as a file does on a broken disk.
type failingFile struct{ fs.File }

func (failingFile) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: "/s", Err: errors.New("input/output error")}
}

func (failingFile) Close() error { return nil }

func TestReadErrorIsAFault(t *testing.T) {
	t.Parallel()
	_, err := config.Parse(config.Source{
		Environ: []string{"RUNNER_CA_FILE=/s"},
		Open:    func(string) (fs.File, error) { return failingFile{}, nil },
	})
	wantFault(t, err, `RUNNER_CA_FILE="/s": cannot read the file: input/output error`)
}
