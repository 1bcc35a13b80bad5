package registry

import (
	"context"

	"github.com/google/go-containerregistry/pkg/name"

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

const ChunkBytes = chunkBytes

// Waiting returns how many bytes of memory the layers of a client have taken for
// what waits for its turn.
func Waiting(c *Client) int64 {
	c.budget.mu.Lock()
	defer c.budget.mu.Unlock()
	return c.ranges.MemoryBytes - c.budget.memory
}
