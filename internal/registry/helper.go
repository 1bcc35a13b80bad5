package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/drengskapur/fastmcp-runner/internal/image"
	"github.com/drengskapur/fastmcp-runner/internal/secret"
)

const (
	helperPrefix  = "docker-credential-"
	helperTimeout = 30 * time.Second
	// tokenUser is the user name under which helpers keep an identity token.
	tokenUser = "<token>"
	// notFound begins what a helper says that knows no credentials.
	notFound = "credentials not found"
)

// askHelper asks a credential helper (docker-credential-helpers, "Development").
// One that is missing or fails is skipped with a note, since it may be one of
// another machine's and the image may be public.
func (c *Client) askHelper(ctx context.Context, helper, server string) login {
	l, err := c.runHelper(ctx, helper, server)
	if err != nil {
		c.log.Warn("Skipped a credential helper", "helper", helper, "registry", server, "cause", err.Error())
	}
	return l
}

func (c *Client) runHelper(ctx context.Context, helper, server string) (login, error) {
	program, err := c.findHelper(helper)
	if err != nil {
		return login{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, helperTimeout)
	defer cancel()
	var stdout limitedBuffer
	cmd := exec.CommandContext(ctx, program, "get") //nolint:gosec // G204: which helper runs is the user's choice
	cmd.Env = c.environ
	cmd.Stdin = strings.NewReader(server)
	cmd.Stdout = &stdout
	cmd.WaitDelay = time.Second
	if err := cmd.Run(); err != nil {
		return login{}, helperFault(err, stdout.kept.String())
	}
	return parseHelperAnswer(stdout.kept.Bytes())
}

// helperFault returns nil if the helper only knows no credentials. Helpers say
// on standard output why they failed; what looks like their answer is not quoted.
func helperFault(err error, said string) error {
	said = strings.TrimSpace(said)
	switch {
	case strings.HasPrefix(said, notFound):
		return nil
	case said == "" || strings.HasPrefix(said, "{"):
		return err
	default:
		return fmt.Errorf("%w: %q", err, image.Abbreviate(said))
	}
}

func parseHelperAnswer(answer []byte) (login, error) {
	var doc struct {
		Username string
		Secret   secret.Value
	}
	if err := json.Unmarshal(answer, &doc); err != nil {
		return login{}, errors.New("its answer is not the JSON that helpers give")
	}
	if doc.Username == tokenUser {
		return login{identityToken: doc.Secret}, nil
	}
	return login{username: doc.Username, password: doc.Secret}, nil
}

// findHelper looks a helper up in the PATH of its environment.
func (c *Client) findHelper(helper string) (string, error) {
	if strings.ContainsRune(helper, filepath.Separator) {
		return "", errors.New("its name is a path")
	}
	for _, entry := range c.environ {
		path, ok := strings.CutPrefix(entry, "PATH=")
		if !ok {
			continue
		}
		for _, dir := range filepath.SplitList(path) {
			if !filepath.IsAbs(dir) {
				continue
			}
			if program, err := exec.LookPath(filepath.Join(dir, helperPrefix+helper)); err == nil {
				return program, nil
			}
		}
	}
	return "", fmt.Errorf("%s%s is not installed", helperPrefix, helper)
}

// limitedBuffer keeps at most MaxTokenBytes. It does not embed its buffer, whose
// ReadFrom would go round the limit.
type limitedBuffer struct {
	kept bytes.Buffer
}

// Write keeps p, or fails if that would be too much.
func (b *limitedBuffer) Write(p []byte) (int, error) {
	if b.kept.Len()+len(p) > MaxTokenBytes {
		return 0, fmt.Errorf("more than %d bytes", MaxTokenBytes)
	}
	return b.kept.Write(p)
}
