package registry

import (
	"context"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/drengskapur/fastmcp-runner/internal/secret"
)

// What fuzz tests reach of the parsers of outside bytes.

type Challenge struct {
	Scheme string
	Params map[string]string
}

func ParseChallenges(headers ...string) []Challenge {
	var list []Challenge
	for _, c := range parseChallenges(headers) {
		list = append(list, Challenge{c.scheme, c.params})
	}
	return list
}

// DockerLogin returns the user and password that a config has for a repository.
func DockerLogin(config []byte, repo name.Repository) (user, pass string, err error) {
	c, err := New(Options{DockerConfigs: []DockerConfig{{JSON: secret.New(string(config))}}})
	if err != nil {
		return "", "", err
	}
	l, err := c.loginFor(context.Background(), repo)
	return l.username, l.password.Reveal(), err
}

// ParseManifest returns the layers of a runnable image manifest, or what an index
// has for a platform.
func ParseManifest(body []byte, contentType string, want v1.Platform) (layers []v1.Descriptor, chosen *v1.Descriptor, err error) {
	d, err := parseDocument(body, contentType)
	if err != nil {
		return nil, nil, err
	}
	if d.isIndex() {
		c, err := choose(d.Manifests, want)
		return nil, &c, err
	}
	return d.Layers, nil, d.checkRunnable()
}

const ChunkBytes = chunkBytes

// Waiting returns how many bytes of memory the layers of a client have taken for
// what waits for its turn.
func Waiting(c *Client) int64 {
	c.budget.mu.Lock()
	defer c.budget.mu.Unlock()
	return c.ranges.MemoryBytes - c.budget.memory
}
