package config_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/drengskapur/fastmcp-runner/internal/config"
)

func TestSecretNeverPrints(t *testing.T) {
	t.Parallel()
	secret := config.NewSecret("hunter22")
	type exported struct{ S config.Secret }
	type hidden struct{ s config.Secret }
	var printed bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T"} {
		fmt.Fprintf(&printed, verb+verb+verb+verb+"\n", secret, &secret, exported{secret}, hidden{secret})
	}
	encoded, err := json.Marshal(exported{secret})
	if err != nil {
		t.Fatal(err)
	}
	printed.Write(encoded)
	slog.New(slog.NewTextHandler(&printed, nil)).Info("m", "s", secret, "e", exported{secret}, "h", hidden{secret})
	slog.New(slog.NewJSONHandler(&printed, nil)).Info("m", "s", secret, "e", exported{secret}, "h", hidden{secret})
	fmt.Fprint(&printed, secret.String(), secret.GoString())
	for _, form := range []string{"hunter22", fmt.Sprintf("%x", "hunter22"), fmt.Sprintf("%X", "hunter22")} {
		if strings.Contains(printed.String(), form) {
			t.Errorf("%q is printed:\n%s", form, printed.String())
		}
	}
	if got := secret.Reveal(); got != "hunter22" {
		t.Errorf("Reveal() = %q", got)
	}
}

func TestZeroSecretIsEmpty(t *testing.T) {
	t.Parallel()
	var zero config.Secret
	if !zero.Empty() || zero.Reveal() != "" || zero.String() != "[redacted]" {
		t.Errorf("the zero Secret is %q and prints %q", zero.Reveal(), zero.String())
	}
}

func TestSecretsOfAConfig(t *testing.T) {
	t.Parallel()
	cfg := mustParse(
		t,
		"REGISTRY_USER=me", "REGISTRY_PASSWORD=hunter22", "HTTPS_PROXY=http://a:p%40ss@proxy",
		`DOCKER_AUTH_CONFIG={"auths":{"ghcr.io":{"auth":"dTpzM2NyZXQ=","identitytoken":"tok3n"}}}`,
		"RUNNER_AUTH_TOKEN=open-sesame", "RUNNER_SESSION_KEY=0123456789abcdef",
	)
	want := []string{"0123456789abcdef", "bWU6aHVudGVyMjI=", "dTpzM2NyZXQ=", "hunter22", "open-sesame", "p%40ss", "p@ss", "s3cret", "tok3n"}
	if diff := cmp.Diff(want, cfg.Secrets()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
