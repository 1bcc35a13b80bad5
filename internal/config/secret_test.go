package config_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

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
